package shopify

import (
	"encoding/json"
	"testing"
)

// TestCompareOnTheWire: the three forms of compareDigest are three different
// requests. A pointer with omitempty would make the second one the third.
func TestCompareOnTheWire(t *testing.T) {
	for _, c := range []struct {
		compare compare
		want    string
	}{
		{unchanged("abc"), `{"ownerId":"","namespace":"","key":"k","type":"","value":"","compareDigest":"abc"}`},
		{missing(), `{"ownerId":"","namespace":"","key":"k","type":"","value":"","compareDigest":null}`},
		{compare{}, `{"ownerId":"","namespace":"","key":"k","type":"","value":""}`},
	} {
		got, err := encode(metafield{Key: "k", CompareDigest: c.compare})
		if err != nil || string(got) != c.want {
			t.Errorf("%+v: %s, %v; want %s", c.compare, got, err, c.want)
		}
	}
}

// TestVersion: a claim's version names each key, and what it does not know
// compares nothing, which Act refuses to send.
func TestVersion(t *testing.T) {
	one := "d1"
	v := version{"b": &one, "a": nil}
	if got := v.String(); got != `{"a":null,"b":"d1"}` {
		t.Errorf("version %s", got)
	}
	back, err := versionOf(v.String(), []string{"a", "b"})
	if err != nil || back.of("a") != missing() || *back.of("b").digest != "d1" || !back.of("c").IsZero() {
		t.Errorf("%v, %v", back, err)
	}
	for _, text := range []string{"", "v1", "{}", `{"a":null}`, `{"a":null,"c":null}`, `{"a":null,"b":"x","c":null}`, `[]`, `{"a":1,"b":2}`} {
		if v, err := versionOf(text, []string{"a", "b"}); err == nil {
			t.Errorf("%q was read as %v", text, v)
		}
	}
}

func TestSeconds(t *testing.T) {
	var c cost
	if err := json.Unmarshal([]byte(`{"requestedQueryCost":10,"throttleStatus":{"maximumAvailable":100,"currentlyAvailable":4,"restoreRate":3}}`), &c); err != nil {
		t.Fatal(err)
	}
	for before, want := range map[float64]string{0: "2s", 3: "3s", 1: "2.334s", 1000: "32s"} {
		if got := c.wait(before); got.String() != want {
			t.Errorf("after %v: %s, want %s", before, got, want)
		}
	}
}
