package actuators

import "context"

type sendingKey struct{}

// WithSending has Sending call f. The executor asks so when the request of an
// Act leaves, which nobody but the actuator knows.
func WithSending(ctx context.Context, f func()) context.Context {
	return context.WithValue(ctx, sendingKey{}, f)
}

// Sending says that the request which could change the object is leaving: an
// actuator calls it once it has a connection and before the first byte, with
// the context of Act or one made from it. Elsewhere it does nothing. It may be
// called by any goroutine.
func Sending(ctx context.Context) {
	if f, ok := ctx.Value(sendingKey{}).(func()); ok {
		f()
	}
}
