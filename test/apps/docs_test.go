package apps

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestDocsShowTheSamples: docs/apps.md has each file as it is.
func TestDocsShowTheSamples(t *testing.T) {
	page, err := os.ReadFile("../../docs/apps.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{}
	for _, m := range regexp.MustCompile("(?ms)^`deploy/samples/apps/([a-z.-]+)`\n\n```[a-z]+\n(.*?)^```$").FindAllStringSubmatch(string(page), -1) {
		shown[m[1]] = m[2]
	}
	files, err := os.ReadDir(samples)
	if err != nil || len(files) == 0 {
		t.Fatalf("%d samples: %v", len(files), err)
	}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(samples, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if shown[f.Name()] != string(text) {
			t.Errorf("docs/apps.md shows %s other than it is, or not", f.Name())
		}
		delete(shown, f.Name())
	}
	for name := range shown {
		t.Errorf("docs/apps.md shows %s, which is not there", name)
	}
}
