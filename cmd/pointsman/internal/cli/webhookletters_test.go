package cli_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/cli"
	webhookv1 "github.com/pointsman/pointsman/proto/webhook/v1"
	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
)

// On a terminal a body cannot steer it, and letters are dropped only after the
// word that is asked for.
func TestLettersOnATerminal(t *testing.T) {
	dir := t.TempDir()
	store, err := buffer.OpenDir(filepath.Join(dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	body := []byte("{\"a\":\"\u009b2J\"}")
	e := webhook.Event{ID: webhook.IDOf("orders", "a.example", "1"), App: "orders", Shop: "a.example", Sum: sha256.Sum256(body)}
	letter, err := proto.Marshal(&webhookv1.Letter{Event: webhook.Envelope(e), Body: body, Reason: "422"})
	if err == nil {
		_, err = store.Put(t.Context(), webhook.DeadKey(e, 1), letter, buffer.Condition{})
	}
	file := filepath.Join(dir, "webhook.yaml")
	if err == nil {
		err = os.WriteFile(file, fmt.Appendf(nil, "store: {dir: {path: %s}}\n", filepath.Join(dir, "store")), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	run := func(typed string, args ...string) (out, talk string, code int) {
		var stdout, stderr bytes.Buffer
		app := &cli.App{In: strings.NewReader(typed), Out: &stdout, Err: &stderr, Terminal: true, Env: func(string) (string, bool) { return "", false }}
		code = app.Run(t.Context(), append([]string{"webhook", "dlq"}, append(args, "--config", file)...))
		return stdout.String(), stderr.String(), code
	}
	id := e.Key().String()[:8]
	if out, talk, code := run("", "show", id, "--body"); code != 0 || out != "{\n  \"a\": \"\\u009b2J\"\n}\n" {
		t.Errorf("%d %q %s", code, out, talk)
	}
	for _, typed := range []string{"", "yes\n", "dropp\n"} {
		if _, talk, code := run(typed, "drop", id, "--reason", "x"); code != 1 || !strings.Contains(talk, "a.example") || !strings.Contains(talk, "nothing was deleted") {
			t.Errorf("%q: %d %s", typed, code, talk)
		}
	}
	if out, talk, code := run("drop\n", "drop", "--all", "--reason", "x"); code != 0 || out != "1 letter dropped\n" || !strings.Contains(talk, "delete 1 letter for good") {
		t.Errorf("%d %s %s", code, out, talk)
	}
	if out, _, code := run("", "list"); code != 0 || !strings.Contains(out, "no dead letters") {
		t.Errorf("%d %s", code, out)
	}
}
