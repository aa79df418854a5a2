package cluster

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft"

	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/internal/planted"
)

const (
	storeFile       = "raft.db"
	identityFile    = "identity.json"
	identityVersion = 1
	keyIdentity     = "Identity" // in the store's own bucket, beside raft's keys
)

// identity says whose store this is. It stands twice: in the store, and in a
// file beside it, so that a store that was emptied, removed or swapped is
// noticed. Without that a node would forget its votes and vote again.
type identity struct {
	Version int           `json:"version"`
	Node    fsm.NodeID    `json:"node"`
	Store   fsm.StoreID   `json:"store"`
	Cluster fsm.ClusterID `json:"cluster,omitempty"` // empty until the log has told
	// Admitted says that a leader has recorded this store in the log. A store needs
	// it only while it is fresh.
	Admitted bool `json:"admitted,omitempty"`
	// Era says after which recovery the store's data begins (see recover.go).
	Era era `json:"era,omitzero"`
	// Underway is a recovery that was begun; it took place if its snapshot is there.
	Underway *underway `json:"underway,omitempty"`
}

// era tells the data of before a recovery from that after it, and the data of one
// recovery from that of another. The zero era is a cluster that was never recovered.
type era struct {
	Generation uint16 `json:"generation,omitempty"`
	Recovery   string `json:"recovery,omitempty"` // random
}

func (e era) String() string {
	if e == (era{}) {
		return "no recovery"
	}
	return fmt.Sprintf("recovery %.8s, generation %d", e.Recovery, e.Generation)
}

// underway is a recovery as it stands in the store before its snapshot does.
type underway struct {
	Era   era    `json:"era"`
	Index uint64 `json:"index"` // of the snapshot
}

// claimIdentity reads both places, makes them agree, and refuses a store that
// is not this node's. It is called before raft sees the store.
func claimIdentity(dir string, node fsm.NodeID, store raft.StableStore) (identity, error) {
	id, err := agreedIdentity(dir, node, store)
	if err != nil {
		return identity{}, err
	}
	return id, writeIdentity(dir, store, id)
}

// agreedIdentity is claimIdentity without a change. A store without an identity
// is given a new one.
func agreedIdentity(dir string, node fsm.NodeID, store raft.StableStore) (identity, error) {
	file, err := readIdentityFile(dir)
	if err != nil {
		return identity{}, err
	}
	inside, err := readIdentityRecord(store)
	if err != nil {
		return identity{}, err
	}
	switch {
	case inside == nil && file != nil && !planted.Bug(planted.StoreUnidentified):
		return identity{}, fmt.Errorf("%w: %s names store %s, but %s is new; restore it, or run `pointsman nodes replace %s`",
			ErrStoreGone, identityFile, file.Store, storeFile, node)
	case inside == nil:
		inside = &identity{Version: identityVersion, Node: node, Store: fsm.StoreID(randomID())}
	case file != nil && file.Store != inside.Store && !planted.Bug(planted.StoreUnidentified):
		return identity{}, fmt.Errorf("%w: %s names store %s, %s is store %s", ErrStoreGone, identityFile, file.Store, storeFile, inside.Store)
	}
	if inside.Node != node {
		return identity{}, fmt.Errorf("%w: %s is of node %q, this is node %q", ErrOtherNode, dir, inside.Node, node)
	}
	if file != nil && file.Cluster != "" && inside.Cluster == "" {
		inside.Cluster = file.Cluster
	}
	if file != nil && file.Cluster != "" && file.Cluster != inside.Cluster {
		return identity{}, fmt.Errorf("%w: %s names cluster %s, %s is of cluster %s", ErrOtherCluster, identityFile, file.Cluster, storeFile, inside.Cluster)
	}
	return *inside, nil
}

// writeIdentity writes the store first: a file without its store is refused
// at the next start, a store without its file is given one.
func writeIdentity(dir string, store raft.StableStore, id identity) error {
	data, err := json.Marshal(id)
	if err != nil {
		return fmt.Errorf("encode identity: %w", err)
	}
	if err := store.Set([]byte(keyIdentity), data); err != nil {
		return fmt.Errorf("write identity: %w", err)
	}
	if err := writeFile(filepath.Join(dir, identityFile), append(data, '\n')); err != nil {
		return fmt.Errorf("write identity: %w", err)
	}
	return nil
}

func readIdentityFile(dir string) (*identity, error) {
	path := filepath.Join(dir, identityFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // absent is an answer
	}
	if err != nil {
		return nil, fmt.Errorf("read identity: %w", err)
	}
	return parseIdentity(path, data)
}

func readIdentityRecord(store raft.StableStore) (*identity, error) {
	data, err := store.Get([]byte(keyIdentity))
	if errors.Is(err, errNotFound) {
		return nil, nil //nolint:nilnil // absent is an answer
	}
	if err != nil {
		return nil, fmt.Errorf("read identity: %w", err)
	}
	return parseIdentity(storeFile, data)
}

func parseIdentity(where string, data []byte) (*identity, error) {
	var id identity
	if err := json.Unmarshal(data, &id); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, where, err)
	}
	if id.Version > identityVersion {
		return nil, fmt.Errorf("%w: %s has version %d", ErrUpgrade, where, id.Version)
	}
	if id.Version != identityVersion || id.Node == "" || id.Store == "" {
		return nil, fmt.Errorf("%w: %s names no node or no store", ErrCorrupt, where)
	}
	return &id, nil
}

// writeFile replaces a file so that a crash leaves the old one or the new one.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone after the rename
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// randomID is 128 random bits in hex.
func randomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand
	return hex.EncodeToString(b[:])
}
