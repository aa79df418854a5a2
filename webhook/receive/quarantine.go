package receive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	webhookv1 "github.com/pointsman/pointsman/proto/webhook/v1"
	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
)

// twoBodies is the reason in the letter of a delivery that is kept aside.
const twoBodies = "its webhook id was delivered before, with another body"

// quarantine keeps a delivery aside for a person; false when the store does not
// take it in time.
func (r *Receiver) quarantine(t *ticket) bool {
	if !r.known.Load() || !r.breaker.closed() {
		return false
	}
	e := t.event
	e.Arrived = time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), firstTry)
	defer cancel()
	if err := r.letter(ctx, e); err != nil {
		r.meters.errors.WithLabelValues("quarantine").Inc()
		r.told.warn("delivery not kept aside", "quarantine", "id", e.ID, "error", err)
		return false
	}
	r.log.Error("delivery kept aside: "+twoBodies, "app", e.App, "shop", e.Shop, "topic", e.Topic, "key", webhook.QuarantineKey(e))
	return true
}

// letter writes a delivery that is kept aside. One that is there already has to
// have the same body.
func (r *Receiver) letter(ctx context.Context, e webhook.Event) error {
	b, err := (proto.MarshalOptions{Deterministic: true}).Marshal(&webhookv1.Letter{
		Event: webhook.Envelope(e), Reason: twoBodies, Body: e.Body, AtNs: e.Arrived.UnixNano(),
	})
	if err != nil {
		return err
	}
	key := webhook.QuarantineKey(e)
	_, err = r.c.Store.Put(ctx, key, b, buffer.Condition{Absent: true})
	if !errors.Is(err, buffer.ErrCondition) {
		return err
	}
	have, err := r.c.Store.Get(ctx, key)
	if err != nil {
		return err
	}
	var before webhookv1.Letter
	if err := proto.Unmarshal(have.Body, &before); err != nil || !bytes.Equal(before.GetBody(), e.Body) {
		return fmt.Errorf("%s: %w", key, errForeign)
	}
	return nil
}
