package coordinator

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/cluster"
	"github.com/pointsman/pointsman/coordinator/config"
	"github.com/pointsman/pointsman/fsm"
)

// minClusterKey is the least length of a cluster key, in bytes.
const minClusterKey = 32

// vault keeps what a target's actuators share as a setting that the API shows to
// nobody: AES-256-GCM under a key drawn from the node's cluster key, bound to the
// cluster and the target, so that neither a backup nor another target's place
// reveals or accepts it.
type vault struct {
	node *cluster.Node
	key  string // the cluster key's reference

	mu     sync.Mutex
	office *office // of the term that this node leads; nil: none
}

var _ actuators.Vault = (*vault)(nil)

func (v *vault) setOffice(o *office) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.office = o
}

// Load implements actuators.Vault.
func (v *vault) Load(target fsm.TargetID) ([]byte, uint64, error) {
	state := v.node.State()
	held, ok := state.Setting(fsm.SealedKey(target))
	if !ok {
		return nil, 0, nil
	}
	data, err := v.open(state.Cluster(), target, held.Value)
	if err != nil {
		return nil, 0, err
	}
	return data, held.Revision, nil
}

// Store implements actuators.Vault.
func (v *vault) Store(ctx context.Context, target fsm.TargetID, revision uint64, data []byte) (uint64, error) {
	v.mu.Lock()
	o := v.office
	v.mu.Unlock()
	if o == nil {
		return 0, actuators.ErrNotKeeper
	}
	text, err := v.seal(v.node.State().Cluster(), target, data)
	if err != nil {
		return 0, err
	}
	put := fsm.PutSetting{Key: fsm.SealedKey(target), Value: text, IfRevision: &revision}
	answer, err := v.node.ProposeInTerm(ctx, o.term, put, cluster.WithActor("target "+string(target)))
	switch {
	case errors.Is(err, cluster.ErrTermOver):
		return 0, fmt.Errorf("%w: %w", actuators.ErrNotKeeper, err)
	case err != nil:
		return 0, err
	case errors.Is(answer.Err(), fsm.ErrRevision):
		return 0, actuators.ErrReplaced
	}
	return answer.Index, answer.Err()
}

func (v *vault) seal(of fsm.ClusterID, target fsm.TargetID, data []byte) (string, error) {
	box, err := v.box()
	if err != nil {
		return "", err
	}
	nonce := make([]byte, box.NonceSize())
	_, _ = rand.Read(nonce) // never fails: crypto/rand
	return base64.StdEncoding.EncodeToString(box.Seal(nonce, nonce, data, bound(of, target))), nil
}

func (v *vault) open(of fsm.ClusterID, target fsm.TargetID, sealed string) ([]byte, error) {
	box, err := v.box()
	if err != nil {
		return nil, err
	}
	text, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil || len(text) < box.NonceSize() {
		return nil, fmt.Errorf("%w: what is kept for target %s is damaged", actuators.ErrSealed, target)
	}
	data, err := box.Open(nil, text[:box.NonceSize()], text[box.NonceSize():], bound(of, target))
	if err != nil {
		return nil, fmt.Errorf("%w: what is kept for target %s was sealed with another one", actuators.ErrSealed, target)
	}
	return data, nil
}

// box opens and seals. The key is read anew each time.
func (v *vault) box() (cipher.AEAD, error) {
	if v.key == "" {
		return nil, fmt.Errorf("%w: cluster_key is not set in the node file", actuators.ErrSealed)
	}
	text, err := config.ResolveSecret(v.key)
	if err != nil {
		return nil, fmt.Errorf("%w: cluster_key: %w", actuators.ErrSealed, err)
	}
	if len(text) < minClusterKey {
		return nil, fmt.Errorf("%w: cluster_key %s holds %d characters, want %d at least", actuators.ErrSealed, v.key, len(text), minClusterKey)
	}
	key, err := hkdf.Key(sha256.New, []byte(text), nil, "pointsman sealed setting 1", 32)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", actuators.ErrSealed, err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", actuators.ErrSealed, err)
	}
	return cipher.NewGCM(block)
}

// bound is what a sealed text belongs to.
func bound(cluster fsm.ClusterID, target fsm.TargetID) []byte {
	return []byte(string(cluster) + "\x00" + string(target))
}

// keeping gives this node's own kinds to those that need a vault.
func keeping(kinds actuators.Kinds, v actuators.Vault) actuators.Kinds {
	out, done := actuators.Kinds{}, map[actuators.Kind]actuators.Kind{}
	for name, k := range kinds {
		keeper, ok := k.(actuators.Keeper)
		if !ok {
			out[name] = k
			continue
		}
		if done[k] == nil { // it may stand there under two names
			done[k] = keeper.Keep(v)
		}
		out[name] = done[k]
	}
	return out
}
