package tend

import (
	"context"
	"errors"

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
	l, e, ok := decoded(o.Body)
	if !ok || l.GetToken() >= token || r.Seen(e) != ledger.WasDone {
		return false, nil
	}
	return true, r.Store.Delete(ctx, key, buffer.Condition{})
}
