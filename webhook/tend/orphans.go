package tend

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	webhookv1 "github.com/pointsman/pointsman/proto/webhook/v1"
	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
	"github.com/pointsman/pointsman/webhook/ledger"
)

// Orphans removes dead letters of a partition's slots that an older token put
// there and could not commit, where the event was done since: a person who tried
// such a letter again would have it done twice. It answers how many there were.
func Orphans(ctx context.Context, r Redaction, token uint64) (int, error) {
	removed := 0
	for slot := range webhook.Slots {
		if !r.Slots.Has(slot) {
			continue
		}
		err := eachKey(ctx, r.Store, webhook.DeadPrefix(slot), func(i buffer.Info) error {
			gone, err := orphan(ctx, r, i.Key, token)
			if gone && err == nil {
				removed++
			}
			return err
		})
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

func orphan(ctx context.Context, r Redaction, key string, token uint64) (bool, error) {
	o, err := r.Store.Get(ctx, key)
	if errors.Is(err, buffer.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var l webhookv1.Letter
	if err := proto.Unmarshal(o.Body, &l); err != nil {
		return false, fmt.Errorf("letter %s: %w", key, err)
	}
	e, err := webhook.FromEnvelope(l.GetEvent())
	if err != nil {
		return false, fmt.Errorf("letter %s: %w", key, err)
	}
	if l.GetToken() >= token || r.Seen(e) != ledger.WasDone {
		return false, nil
	}
	return true, r.Store.Delete(ctx, key, buffer.Condition{})
}
