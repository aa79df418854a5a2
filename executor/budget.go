package executor

import (
	"context"
	"time"

	"golang.org/x/time/rate"

	"github.com/pointsman/pointsman/actuators"
)

// budget is a target's pace: its rate a minute, as a bucket of one minute. A
// part of the bucket is kept for writes and the looks around them: warming up
// and following a task are patient and leave it alone.
type budget struct {
	limiter *rate.Limiter
}

// keptBack is the part of a bucket that patient requests leave, one in so many.
const keptBack = 3

var _ actuators.Budget = (*budget)(nil)

func newBudget(perMinute int) *budget {
	b := &budget{limiter: rate.NewLimiter(0, perMinute)}
	b.setRate(perMinute)
	return b
}

func (b *budget) setRate(perMinute int) {
	b.limiter.SetLimit(rate.Limit(float64(perMinute) / time.Minute.Seconds()))
	b.limiter.SetBurst(perMinute)
}

// Wait implements actuators.Budget.
func (b *budget) Wait(ctx context.Context) error {
	if !isPatient(ctx) {
		return b.limiter.Wait(ctx)
	}
	for {
		left := b.left(1 + float64(b.limiter.Burst()/keptBack))
		if left <= 0 {
			return b.limiter.Wait(ctx)
		}
		timer := time.NewTimer(left)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
		}
	}
}

// left is how long until the bucket holds so many requests.
func (b *budget) left(tokens float64) time.Duration {
	missing := tokens - b.limiter.Tokens()
	if missing <= 0 {
		return 0
	}
	return time.Duration(missing / float64(b.limiter.Limit()) * float64(time.Second))
}

type patientKey struct{}

// patient marks requests that may wait for the others of their target. The mark
// travels in the context, since an actuator neither knows nor asks.
func patient(ctx context.Context) context.Context {
	return context.WithValue(ctx, patientKey{}, true)
}

func isPatient(ctx context.Context) bool {
	is, _ := ctx.Value(patientKey{}).(bool)
	return is
}
