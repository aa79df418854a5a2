package config

import (
	"errors"
	"testing"
)

// FuzzParseSpec: any bytes give a spec or problems, and each problem has a
// place inside of the file or none.
func FuzzParseSpec(f *testing.F) {
	for _, seed := range []string{goodSpec, goodNode, "", "---", "a: &x 1\nb: *x", "masters: [", "{", "- 1", "masters: {a: [}", "? a\n: b", "? 1", "masters:\r1", "a\r\nb: 1", "\x00", "masters:\n- id: !!binary aGk="} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		spec, file, err := ParseSpec("s", source)
		var invalid *InvalidError
		switch {
		case err == nil && spec == nil:
			t.Fatal("neither a spec nor an error")
		case err != nil && !errors.As(err, &invalid):
			t.Fatalf("error of another type: %v", err)
		case err != nil && len(invalid.Problems) == 0:
			t.Fatal("an error without a problem")
		}
		if file == nil {
			t.Fatal("no file")
		}
	})
}
