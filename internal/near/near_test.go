package near

import "testing"

func TestWord(t *testing.T) {
	words := []string{"list", "show", "watch", "retry", "abandon"}
	for given, want := range map[string]string{
		"lst": "list", "shwo": "show", "wacth": "watch", "aband": "abandon", "RETRY": "retry", "completely": "", "": "",
	} {
		if got := Word(given, words); got != want {
			t.Errorf("%q: got %q, want %q", given, got, want)
		}
	}
}
