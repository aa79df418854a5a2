package s3_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The JSON of the page is meant to be copied: it is whole, and gives no right
// that no request of ours needs.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile("../../../docs/webhooks-buckets.md")
	if err != nil {
		t.Fatal(err)
	}
	policies := 0
	for _, block := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(page, -1) {
		var doc struct {
			Statement []struct {
				Action, Resource any
			}
			Rules []struct{ Filter struct{ Prefix string } }
		}
		if err := json.Unmarshal(block[1], &doc); err != nil {
			t.Errorf("%v in\n%s", err, block[1])
		}
		var actions []string
		for _, s := range doc.Statement {
			actions = append(actions, words(s.Action)...)
			for _, r := range words(s.Resource) {
				if r != "arn:aws:s3:::example-webhooks" && r != "arn:aws:s3:::example-webhooks/webhooks/*" {
					t.Errorf("a policy gives rights on %s", r)
				}
			}
		}
		if len(actions) > 0 {
			policies++
			slices.Sort(actions)
			if got := strings.Join(actions, " "); got != "s3:DeleteObject s3:GetObject s3:ListBucket s3:PutObject" {
				t.Errorf("a policy allows %s", got)
			}
		}
		for _, r := range doc.Rules {
			if !slices.Contains([]string{"webhooks/probe/", "webhooks/dead/", "webhooks/quarantine/"}, r.Filter.Prefix) {
				t.Errorf("a rule expires %s", r.Filter.Prefix)
			}
		}
	}
	if policies != 2 {
		t.Errorf("%d policies", policies)
	}
}

// words are a JSON string, or the strings of a list.
func words(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, one := range v {
			all = append(all, words(one)...)
		}
		return all
	}
	return nil
}
