package shopify

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTopics: those known here are the types' own, each once, with scopes that look like some.
func TestTopics(t *testing.T) {
	types, err := os.ReadFile("../../test/clouds/shopify/testdata/schema.graphql")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(types), "enum WebhookSubscriptionTopic {")
	body, _, _ := strings.Cut(rest, "}")
	want := strings.Fields(body)
	var got []string
	for topic, scopes := range topics() {
		got = append(got, topicWord(topic))
		for _, scope := range scopes {
			if !regexp.MustCompile(`^read_[a-z_]+$`).MatchString(scope) {
				t.Errorf("%s takes %q", topic, scope)
			}
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if len(want) != 218 || !slices.Equal(got, want) {
		t.Errorf("%d topics, the types have %d", len(got), len(want))
	}
	if n := len(strings.Fields(regexp.MustCompile(`(?m)^[^:\n]*:`).ReplaceAllString(takenBy, ""))); n != len(got) {
		t.Errorf("%d words for %d topics: one stands twice", n, len(got))
	}
}
