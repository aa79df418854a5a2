package buffer

import (
	"fmt"
	"strings"
)

// MaxKey is the longest key, in bytes, that every store takes.
const MaxKey = 512

const keyLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

// ValidKey says what is wrong with a key; its errors are ErrRefused. Keys are
// made of letters, digits, dots, dashes and underscores between slashes; no part
// is empty or begins with a dot.
func ValidKey(key string) error {
	if key == "" || len(key) > MaxKey {
		return fmt.Errorf("key of %d bytes, must be 1 to %d: %w", len(key), MaxKey, ErrRefused)
	}
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part[0] == '.' || strings.IndexFunc(part, foreign) >= 0 {
			return fmt.Errorf("key %.200q has a part %.80q: %w", key, part, ErrRefused)
		}
	}
	return nil
}

func foreign(r rune) bool { return !strings.ContainsRune(keyLetters, r) }
