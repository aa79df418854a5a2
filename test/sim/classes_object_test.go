package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/executor"
	"github.com/pointsman/pointsman/fsm"
)

var errUnclear = errors.New("no answer came")

// deedKind is the object as one process reaches it.
type deedKind struct{ p *proc }

func (deedKind) CheckTarget(proto.Message) []actuators.Problem { return nil }

func (deedKind) Plan(actuators.StepInput) (actuators.Planned, []actuators.Problem) {
	return actuators.Planned{}, nil
}

func (deedKind) Render(_ fsm.Step, f actuators.Facts) (fsm.Value, error) {
	v := valueOf(f.To, f.Failover.Number)
	return fsm.Value{Value: []byte(v), Wanted: v}, nil
}

func (k deedKind) Open(fsm.TargetSpec, actuators.Budget) (actuators.Actuator, error) { return k, nil }

func (deedKind) Follow(context.Context, actuators.Work) (actuators.Progress, error) {
	return actuators.Progress{}, actuators.Permanent(errUnclear)
}

func (k deedKind) Read(ctx context.Context, _ actuators.Subject) (r actuators.Reading, err error) {
	if ctx.Err() != nil {
		return r, context.Cause(ctx)
	}
	c := k.p.c
	c.sleep(20 * time.Millisecond)
	err = k.p.call("read", func() {
		c.mu.Lock()
		r = actuators.Reading{At: time.Now(), Body: [2]string{c.value, fmt.Sprint("v", c.version)}}
		c.mu.Unlock()
	})
	return r, err
}

func (k deedKind) Judge(r actuators.Reading, w actuators.Work) actuators.Sight {
	seen, want := r.Body.([2]string), string(w.Action.Value)
	s := actuators.Sight{Verdict: actuators.Absent, Detail: seen[0], Version: seen[1]}
	switch {
	case k.p.c.class == fsm.Blind:
	case seen[0] == want:
		s.Verdict = actuators.Applied
	case newer(seen[0], want):
		s.Verdict = actuators.Newer
	}
	return s
}

// request is one write that has left a process.
type request struct {
	id      fsm.ActionID
	token   fsm.Token
	value   string
	version string
}

func (k deedKind) Act(ctx context.Context, w actuators.Work, seen actuators.Sight) (out actuators.Outcome, err error) {
	if ctx.Err() != nil {
		return out, context.Cause(ctx)
	}
	k.p.acting.Add(1)
	defer k.p.acting.Add(-1)
	r := request{id: w.Action.ID, token: w.Action.Token, value: string(w.Action.Value), version: w.Action.Version}
	k.leaves(r, seen.Reading)
	fate := k.p.c.answer()
	if dead := k.p.call("act", func() { err = k.p.c.carry(ctx, r, fate) }); dead != nil {
		return out, actuators.InDoubt(dead)
	}
	return actuators.Outcome{Requests: []string{"id"}}, err
}

// leaves judges a request before its first byte: it has its claim (G2), with the
// version that was read before (G4), within its span, and a look that was
// young, but for a pause since, and showed neither what it writes nor something
// newer (G4).
func (k deedKind) leaves(r request, look actuators.Reading) {
	c, oldest := k.p.c, executor.DefaultConfig().WarmFor
	k.p.mu.Lock()
	if k.p.thawed != nil {
		oldest += k.p.fate.span
	}
	k.p.mu.Unlock()
	seen := look.Body.([2]string)[0]
	c.mu.Lock()
	defer c.mu.Unlock()
	g, ok := c.grants[r.token]
	switch {
	case !ok || g.term != k.p.term || g.action != r.id:
		c.failed("intent before deed", "%s sends %+v, the log granted %+v", k.p.id(), r, g)
	case c.class == fsm.Fenced && g.version != r.version:
		c.failed("version in the claim", "%s compares with %q, its claim %d names %q", k.p.id(), r.version, r.token, g.version)
	case time.Since(g.at) > c.act:
		c.failed("span", "%s sends %s after its claim %d", k.p.id(), time.Since(g.at), r.token)
	}
	if c.class == fsm.Blind {
		return
	}
	switch age := time.Since(look.At); {
	case age > oldest:
		c.failed("look before", "%s writes %q, its last look is %s old", k.p.id(), r.value, age)
	case seen == r.value, newer(seen, r.value):
		c.failed("look before", "%s writes %q, its look showed %q", k.p.id(), r.value, seen)
	}
}

// answer draws what becomes of a request.
func (c *classes) answer() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calm {
		return "well"
	}
	fate := pick(c.draw, "well", "well", "well", "lost on its way", "answer lost", "held", "held", "slow")
	if fate == "held" && c.class == fsm.Readable && c.draw.IntN(100) < 12 {
		fate = "outlasts"
	}
	return fate
}

// carry brings a request to the object, now, late or never.
func (c *classes) carry(ctx context.Context, r request, fate string) error {
	c.mu.Lock()
	if c.class == fsm.Blind {
		if c.sends[r.id]++; c.sends[r.id] > 1 {
			c.failed("blind repeated", "%s was sent %d times", r.id, c.sends[r.id])
		}
	}
	c.told("request %+v: %s", r, fate)
	c.mu.Unlock()
	switch fate {
	case "well":
		c.lands(r)
		return nil
	case "slow": // and its sender may be gone by then
		select {
		case <-time.After(c.act / 2):
			c.lands(r)
			return nil
		case <-ctx.Done():
			return actuators.InDoubt(errUnclear)
		}
	case "answer lost":
		c.lands(r)
	case "held", "outlasts":
		c.graves.Go(func() {
			<-ctx.Done()
			if fate == "outlasts" {
				c.mu.Lock()
				c.late = true
				c.mu.Unlock()
				time.Sleep(2 * (c.act + c.hold))
			}
			c.sleep(c.hold)
			c.lands(r)
		})
	}
	if c.chance(70) || fate == "held" {
		<-ctx.Done() // no answer within the span
	}
	return actuators.InDoubt(errUnclear)
}

// lands is the object's side of a request, and the judge of what it changed.
func (c *classes) lands(r request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.class == fsm.Fenced && r.version != fmt.Sprint("v", c.version), c.class == fsm.Keyed && c.keys[r.id]:
		c.told("refuses %+v", r)
		return
	}
	c.told("takes %+v after %q", r, c.value)
	c.keys[r.id] = true
	c.version++
	if newer(c.value, r.value) && !c.late {
		c.failed("stale", "%q landed on %q", r.value, c.value)
	}
	if c.value != r.value {
		if c.changes[r.id]++; c.changes[r.id] > 1 && !c.late {
			c.failed("duplicates", "%s changed the value %d times", r.id, c.changes[r.id])
		}
	}
	c.value = r.value
}
