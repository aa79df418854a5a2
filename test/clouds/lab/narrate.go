package lab

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/pointsman/pointsman/test/clouds/ovh"
	"github.com/pointsman/pointsman/test/clouds/redis"
)

// narrate tells the Sentinels' and the provider's part of a failover as events,
// until the returned function is called.
func (l *Lab) narrate(ctx context.Context, t *tale) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	begin := time.Now()
	wg.Go(func() { l.sentinels(ctx, begin) })
	wg.Go(func() { l.provider(ctx, t.mark) })
	return func() {
		cancel()
		wg.Wait()
	}
}

// sentinels tells the first of each event that matters. Afterwards it takes a
// last look, so that nothing is missed at the end.
func (l *Lab) sentinels(ctx context.Context, begin time.Time) {
	told := map[string]bool{}
	for {
		for _, c := range l.Recorder.Changes() {
			if text := sentence(c); c.At.After(begin) && text != "" && !told[c.Channel] {
				told[c.Channel] = true
				l.opt.Events(Event{At: c.At, Who: BySentinel, Text: text})
			}
		}
		if ctx.Err() != nil {
			return
		}
		pause(ctx, pollEvery)
	}
}

// sentence is what a change means to people; empty when it is left out.
func sentence(c redis.Change) string {
	if c.Kind != redis.KindEvent {
		return ""
	}
	who := c.Source
	f := strings.Fields(c.Value)
	switch {
	case c.Channel == "+sdown" && len(f) > 3 && f[0] == "master":
		return who + ": master does not answer"
	case c.Channel == "+odown":
		return who + ": a quorum holds it for dead"
	case strings.HasPrefix(c.Channel, "-failover-abort"):
		return who + ": gave this failover up; the sentinels try again after twice their failover-timeout"
	case c.Channel == "+elected-leader":
		return who + ": elected to fail over"
	case c.Channel == "+selected-slave" && len(f) > 3:
		return fmt.Sprintf("%s: chose %s", who, net.JoinHostPort(f[2], f[3]))
	case c.Channel == "+promoted-slave" && len(f) > 3:
		return fmt.Sprintf("%s: promoted %s", who, net.JoinHostPort(f[2], f[3]))
	}
	return ""
}

// provider tells each write that the provider carried out.
func (l *Lab) provider(ctx context.Context, after int64) {
	for {
		call, err := l.Cloud.Sim.WaitFor(ctx, func(c ovh.Call) bool { return c.Seq > after && c.Accepted && !c.Foreign })
		if err != nil {
			return
		}
		after = call.Seq
		switch {
		case call.Frontend != nil:
			l.opt.Events(Event{At: call.Effect, Who: ByProvider, Text: fmt.Sprintf("PUT frontend %d: farm %d → %d, staged", call.Frontend.ID, call.Frontend.FarmBefore, call.Frontend.FarmAfter)})
		case call.Refresh != nil:
			l.opt.Events(Event{At: call.Effect, Who: ByProvider, Text: fmt.Sprintf("POST refresh: task %d", call.Refresh.Task)})
		}
	}
}

func split(address string) (host, port string, err error) { return net.SplitHostPort(address) }
