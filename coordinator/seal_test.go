package coordinator

import (
	"errors"
	"strings"
	"testing"

	"github.com/pointsman/pointsman/actuators"
)

// What is sealed opens with the same key, for the same cluster and target, and with
// nothing else.
func TestSeal(t *testing.T) {
	t.Setenv("ONE", strings.Repeat("1", minClusterKey))
	t.Setenv("TWO", strings.Repeat("2", minClusterKey))
	t.Setenv("SHORT", strings.Repeat("1", minClusterKey-1))
	one := &vault{key: "env:ONE"}
	sealed, err := one.seal("c", "shop", []byte("canary"))
	if err != nil || strings.Contains(sealed, "canary") {
		t.Fatal(sealed, err)
	}
	if again, _ := one.seal("c", "shop", []byte("canary")); again == sealed {
		t.Error("sealed twice with one nonce")
	}
	if data, err := one.open("c", "shop", sealed); string(data) != "canary" || err != nil {
		t.Errorf("%q: %v", data, err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"another key":     func() ([]byte, error) { return (&vault{key: "env:TWO"}).open("c", "shop", sealed) },
		"no key":          func() ([]byte, error) { return (&vault{}).open("c", "shop", sealed) },
		"a short key":     func() ([]byte, error) { return (&vault{key: "env:SHORT"}).open("c", "shop", sealed) },
		"a missing key":   func() ([]byte, error) { return (&vault{key: "env:NOWHERE"}).open("c", "shop", sealed) },
		"another cluster": func() ([]byte, error) { return one.open("d", "shop", sealed) },
		"another target":  func() ([]byte, error) { return one.open("c", "shop2", sealed) },
		"no base64":       func() ([]byte, error) { return one.open("c", "shop", "!") },
		"too little":      func() ([]byte, error) { return one.open("c", "shop", "AAAA") },
	} {
		if data, err := open(); !errors.Is(err, actuators.ErrSealed) || data != nil {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	if _, err := (&vault{key: "env:SHORT"}).seal("c", "shop", nil); !errors.Is(err, actuators.ErrSealed) {
		t.Errorf("a short key seals: %v", err)
	}
}

// A node that does not lead stores nothing.
func TestOnlyTheLeaderStores(t *testing.T) {
	if _, err := (&vault{}).Store(t.Context(), "shop", 0, nil); !errors.Is(err, actuators.ErrNotKeeper) {
		t.Error(err)
	}
}
