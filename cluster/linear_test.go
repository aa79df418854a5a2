package cluster

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/hashicorp/raft"

	"github.com/pointsman/pointsman/fsm"
)

type registerInput struct {
	write bool
	value string
}

// register is one setting: a read gives the last write.
func register() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return "" },
		Step: func(state, in, out any) (bool, any) {
			i := in.(registerInput)
			if i.write {
				return true, i.value
			}
			return out.(string) == state.(string), state
		},
	}
}

// clients write and read one key on every node and note what they saw.
type clients struct {
	mu      sync.Mutex
	begun   time.Time
	history []porcupine.Operation
}

func (c *clients) run(n *Node, client int, seed uint64, stop <-chan struct{}) {
	r := rand.New(rand.NewPCG(seed, uint64(client)))
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(1+r.IntN(40)) * time.Millisecond):
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(50+r.IntN(1500))*time.Millisecond)
		op := porcupine.Operation{ClientId: client, Call: int64(time.Since(c.begun)), Return: math.MaxInt64}
		if r.IntN(2) == 0 {
			in := registerInput{true, fmt.Sprintf("%d/%d", client, i)}
			a, err := n.Propose(ctx, fsm.PutSetting{Key: "k", Value: in.value})
			op.Input = in
			if err == nil && a.Err() == nil {
				op.Return = int64(time.Since(c.begun))
			} else {
				op.ClientId = 1000*client + i // it may take effect at any later time
			}
			c.note(op)
		} else if s, err := n.Read(ctx); err == nil {
			op.Input, op.Output, op.Return = registerInput{}, value(s, "k"), int64(time.Since(c.begun))
			c.note(op)
		}
		cancel()
	}
}

func (c *clients) note(op porcupine.Operation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.history = append(c.history, op)
}

// inMemory keeps the store in memory: no crash is played here, and the plans are
// many.
type inMemory struct {
	*raft.InmemStore
	bolt Store
}

// Close implements Store.
func (m inMemory) Close() error { return m.bolt.Close() }

// TestLinearizable cuts, heals and hands over at random while clients on all
// nodes write and read: what they saw must fit one order.
func TestLinearizable(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { linearizable(t, seed) })
	}
}

func linearizable(t *testing.T, seed uint64) {
	tune := func(c *Config) {
		c.Faults.Store = func(s Store) Store { return inMemory{raft.NewInmemStore(), s} }
	}
	inBubble(t, tune, func(t *testing.T, l *lab) {
		l.start()
		l.leader()
		r := rand.New(rand.NewPCG(seed, 77))
		c := &clients{begun: time.Now()}
		stop := make(chan struct{})
		var wait sync.WaitGroup
		for i, p := range l.peers {
			n := l.nodes[p.ID]
			wait.Go(func() { c.run(n, 2*i+1, seed, stop) })
			wait.Go(func() { c.run(n, 2*i+2, seed, stop) })
		}
		for range 8 {
			victim := l.peers[r.IntN(3)].Address
			switch r.IntN(4) {
			case 0:
				victim = l.addr(l.leader())
				fallthrough
			case 1:
				l.net.isolate(victim, true)
				time.Sleep(time.Duration(r.IntN(2000)) * time.Millisecond)
				l.net.isolate(victim, false)
			case 2:
				_ = l.leader().Transfer(shortly(t), "")
			}
			time.Sleep(time.Duration(r.IntN(1000)) * time.Millisecond)
		}
		close(stop)
		wait.Wait()
		reads := 0
		for _, op := range c.history {
			if !op.Input.(registerInput).write {
				reads++
			}
		}
		if reads < 20 || len(c.history)-reads < 20 {
			t.Errorf("only %d reads of %d operations: this proves nothing", reads, len(c.history))
		}
		if got := porcupine.CheckOperationsTimeout(register(), c.history, 30*time.Second); got == porcupine.Illegal {
			t.Errorf("seed %d: %d operations fit no order", seed, len(c.history))
		} else if got == porcupine.Unknown {
			t.Logf("seed %d: not decided in time", seed)
		}
		l.leader()
		l.settled()
		l.sameHashes()
	})
}
