package ledger

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	webhookv1 "github.com/pointsman/pointsman/proto/webhook/v1"
	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
)

// Commits is a way to say which head of a partition is current: CAS or Log.
type Commits interface {
	// load reads the current head; an empty one when there is none.
	load(ctx context.Context, cfg Config) (*webhookv1.Head, Revision, error)
	// swap replaces the head of a revision. ErrMoved when another one is current,
	// ErrFenced when it was refused for its token; else nobody knows.
	swap(ctx context.Context, cfg Config, was Revision, h *webhookv1.Head) (Revision, error)
}

// Revision stands for one head.
type Revision struct {
	tag     buffer.Tag // of the object that is swapped
	version uint64     // of the checkpoint; 0: none
	key     string     // of the object that the checkpoint names
}

// Names of a partition's objects. Those that are written once carry the token
// and a random end, so that no two writes, of whatever start, share a key.
const (
	nameHead   = "head"
	prefixHead = "head-"
	prefixDone = "done-"
)

func headKey(cfg Config) string { return webhook.PartitionPrefix(cfg.Partition) + nameHead }

func ownKey(cfg Config, prefix string) string {
	return fmt.Sprintf("%s%s%016x-%s", webhook.PartitionPrefix(cfg.Partition), prefix, cfg.Token, strings.ToLower(rand.Text()))
}

// CAS is the way of a store that honours conditions.
type CAS struct{}

func (CAS) load(ctx context.Context, cfg Config) (*webhookv1.Head, Revision, error) {
	o, err := cfg.Store.Get(ctx, headKey(cfg))
	if errors.Is(err, buffer.ErrNotFound) {
		return &webhookv1.Head{}, Revision{}, nil
	}
	if err != nil {
		return nil, Revision{}, err
	}
	h, err := decodeHead(cfg, o.Body)
	return h, Revision{tag: o.Tag}, err
}

func (CAS) swap(ctx context.Context, cfg Config, was Revision, h *webhookv1.Head) (Revision, error) {
	body, err := encodeHead(h)
	if err != nil {
		return Revision{}, err
	}
	tag, err := cfg.Store.Put(ctx, headKey(cfg), body, buffer.Condition{Absent: was.tag == "", Tag: was.tag})
	if errors.Is(err, buffer.ErrCondition) {
		return Revision{}, fmt.Errorf("%w: %w", ErrMoved, err)
	}
	return Revision{tag: tag}, err
}

// Checkpoint is what the coordinators' log holds for a partition.
type Checkpoint struct {
	Version uint64 // 0: none yet
	Token   uint64 // under which it was saved
	Data    []byte
}

// Checkpoints keeps a partition's checkpoint in a log that refuses older tokens.
type Checkpoints interface {
	// Checkpoint reads the current one, as of after the call.
	Checkpoint(ctx context.Context) (Checkpoint, error)
	// SaveCheckpoint replaces it under the lease's token. ErrMoved when version is
	// not the current one and 1, ErrFenced when the token is not the current one;
	// any other error says that nobody knows. The same again changes nothing.
	SaveCheckpoint(ctx context.Context, version uint64, data []byte) error
}

// Log is the way of a store that ignores conditions, or is not trusted with
// them: the coordinators' log says which head is current.
type Log struct{ Checkpoints Checkpoints }

func (c Log) load(ctx context.Context, cfg Config) (*webhookv1.Head, Revision, error) {
	for range swapTries {
		p, err := c.Checkpoints.Checkpoint(ctx)
		switch {
		case err != nil:
			return nil, Revision{}, err
		case p.Version == 0:
			return CAS{}.load(ctx, cfg)
		case p.Token > cfg.Token:
			return nil, Revision{}, fenced(cfg, p.Token)
		}
		h, r, err := named(ctx, cfg, p)
		if !errors.Is(err, buffer.ErrNotFound) {
			return h, r, err
		}
		// The former holder has gone on and removed it, or it is lost.
		again, err2 := c.Checkpoints.Checkpoint(ctx)
		if err2 != nil || again.Version == p.Version {
			return nil, Revision{}, errors.Join(fmt.Errorf("partition %d: %w: %w", cfg.Partition, ErrHead, err), err2)
		}
	}
	return nil, Revision{}, fmt.Errorf("partition %d: its head changed %d times while it was read", cfg.Partition, swapTries)
}

// named reads the head that a checkpoint names.
func named(ctx context.Context, cfg Config, p Checkpoint) (*webhookv1.Head, Revision, error) {
	name, sum, _ := strings.Cut(string(p.Data), " ")
	key := webhook.PartitionPrefix(cfg.Partition) + name
	o, err := cfg.Store.Get(ctx, key)
	if err != nil {
		return nil, Revision{}, err
	}
	if digestOf(o.Body) != sum {
		return nil, Revision{}, fmt.Errorf("object %s is not what version %d of the checkpoint names: %w", key, p.Version, ErrHead)
	}
	h, err := decodeHead(cfg, o.Body)
	return h, Revision{version: p.Version, key: key}, err
}

func (c Log) swap(ctx context.Context, cfg Config, was Revision, h *webhookv1.Head) (Revision, error) {
	if was.version == 0 && was.tag != "" { // who still swaps the head in the store is to be refused there
		if _, err := (CAS{}).swap(ctx, cfg, was, h); err != nil {
			return Revision{}, err
		}
	}
	body, err := encodeHead(h)
	if err != nil {
		return Revision{}, err
	}
	now := Revision{version: was.version + 1, key: ownKey(cfg, prefixHead)}
	if _, err := cfg.Store.Put(ctx, now.key, body, buffer.Condition{}); err != nil {
		return Revision{}, err
	}
	data := strings.TrimPrefix(now.key, webhook.PartitionPrefix(cfg.Partition)) + " " + digestOf(body)
	if err := c.Checkpoints.SaveCheckpoint(ctx, now.version, []byte(data)); err != nil {
		return Revision{}, err
	}
	if was.key != "" {
		_ = cfg.Store.Delete(ctx, was.key, buffer.Condition{}) // else Tidy does
	}
	return now, nil
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// A head stands behind its own digest, so that a damaged one is told.
func encodeHead(h *webhookv1.Head) ([]byte, error) {
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(h)
	sum := sha256.Sum256(body)
	return append(sum[:], body...), err
}

func decodeHead(cfg Config, b []byte) (*webhookv1.Head, error) {
	h := &webhookv1.Head{}
	if len(b) < sha256.Size || sha256.Sum256(b[sha256.Size:]) != [sha256.Size]byte(b) {
		return nil, fmt.Errorf("head of partition %d, %d bytes, does not fit its digest: %w", cfg.Partition, len(b), ErrHead)
	}
	if err := proto.Unmarshal(b[sha256.Size:], h); err != nil {
		return nil, fmt.Errorf("head of partition %d: %w: %w", cfg.Partition, ErrHead, err)
	}
	return h, nil
}
