package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/pointsman/pointsman/client"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// How the watchers are told.
const (
	watchKey     = "watch/key"
	watchersConn = 64 // streams on one connection: a node allows 128
	changeEvery  = 200 * time.Millisecond
	toldWithin   = 30 * time.Second
)

// told is how long watchers waited for a change.
type told struct {
	Watchers int    `json:"watchers"` // spread over the three nodes
	Changes  int    `json:"changes"`
	Put      spread `json:"put_ms"`       // the call that makes the change
	Told     spread `json:"told_ms"`      // from the begin of that call to a watcher, over all
	Last     spread `json:"last_told_ms"` // to the last one of them, for each change
}

// heard is what one watcher was told.
type heard struct {
	change int
	at     time.Time
}

// watchers opens n watches and tells them changes one after another.
func (b *bench) watchers(ctx context.Context, c *cluster, n, changes int) (told, error) {
	b.say("%d watchers are told of %d changes", n, changes)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	said := make(chan heard, n)
	var ready, wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	conns := map[string]*client.Client{}
	defer func() {
		for _, conn := range conns {
			conn.Close()
		}
	}()
	ready.Add(n)
	for i := range n {
		at := c.any[i%len(c.any)]
		name := fmt.Sprint(at, " ", i/len(c.any)/watchersConn)
		if conns[name] == nil {
			conn, err := client.DialNode(at)
			if err != nil {
				return told{}, err
			}
			conns[name] = conn
		}
		conn := conns[name]
		wg.Go(func() {
			once := sync.OnceFunc(ready.Done)
			defer once()
			if err := listen(ctx, conn, once, said); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("watcher %d: %w", i, err))
			}
		})
	}
	ready.Wait()
	if ctx.Err() != nil {
		return told{}, context.Cause(ctx)
	}
	return tell(ctx, c, n, changes, said)
}

// listen follows the key and says each change.
func listen(ctx context.Context, conn *client.Client, ready func(), said chan<- heard) error {
	stream, err := conn.Settings().WatchSettings(ctx, &pointsmanv1.WatchSettingsRequest{Prefix: watchKey})
	if err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		ready() // whatever is told first, the watch is there
		if m.GetSetting() == nil {
			continue
		}
		change, err := strconv.Atoi(m.GetSetting().Value)
		if err != nil {
			return err
		}
		select {
		case said <- heard{change, time.Now()}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// tell makes the changes and waits each time until all have been told.
func tell(ctx context.Context, c *cluster, n, changes int, said <-chan heard) (told, error) {
	conn, err := client.DialNode(c.leader)
	if err != nil {
		return told{}, err
	}
	defer conn.Close()
	var puts, all, lasts []float64
	for change := range changes {
		if err := rest(ctx, changeEvery); err != nil {
			return told{}, err
		}
		began := time.Now()
		if _, err := conn.Settings().PutSetting(ctx, &pointsmanv1.PutSettingRequest{Key: watchKey, Value: strconv.Itoa(change)}); err != nil {
			return told{}, err
		}
		puts = append(puts, millis(time.Since(began)))
		within, cancel := context.WithTimeoutCause(ctx, toldWithin, fmt.Errorf("not within %s", toldWithin))
		last := time.Duration(0)
		for i := range n {
			select {
			case h := <-said:
				if h.change != change {
					cancel()
					return told{}, fmt.Errorf("a watcher was told of change %d during change %d", h.change, change)
				}
				took := h.at.Sub(began)
				last = max(last, took)
				all = append(all, millis(took))
			case <-within.Done():
				cancel()
				return told{}, fmt.Errorf("change %d: %d of %d watchers told: %w", change, i, n, context.Cause(within))
			}
		}
		cancel()
		lasts = append(lasts, millis(last))
	}
	return told{Watchers: n, Changes: changes, Put: spreadOf(puts), Told: spreadOf(all), Last: spreadOf(lasts)}, nil
}
