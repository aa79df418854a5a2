package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// example is one line of docs/http.md that is run, and what the page says that
// it answers.
type example struct {
	line   string
	status int
	json   string // a part of the answer
	text   string // pieces of the output, with … between them
}

// examples reads the fenced blocks of the page.
func examples(t *testing.T) (found []example) {
	t.Helper()
	page, err := os.ReadFile("../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$").FindAllStringSubmatch(string(page), -1) {
		switch kind, body := m[1], m[2]; kind {
		case "sh":
			for _, l := range regexp.MustCompile(`(?s)(curl .*?) # ([0-9]{3})\n`).FindAllStringSubmatch(body, -1) {
				status, _ := strconv.Atoi(l[2])
				found = append(found, example{line: l[1], status: status})
				body = strings.Replace(body, l[0], "", 1)
			}
			if body != "" {
				t.Errorf("not run: %s", body)
			}
		case "json":
			found[len(found)-1].json = body
		case "text":
			found[len(found)-1].text = body
		default:
			t.Errorf("a block of %s, which nothing checks", kind)
		}
	}
	if len(found) < 20 {
		t.Fatalf("only %d examples were found", len(found))
	}
	return found
}

// words splits a line as a shell does, for what the page uses: quotes, and a
// backslash before the end of a line.
func words(line string) (out []string) {
	word, quote, begun := "", rune(0), false
	for _, r := range strings.ReplaceAll(line, "\\\n", " ") {
		switch {
		case r == quote:
			quote = 0
		case quote != 0:
			word += string(r)
		case r == '\'' || r == '"':
			quote, begun = r, true
		case r == ' ' || r == '\n':
			if begun {
				out = append(out, word)
			}
			word, begun = "", false
		default:
			word, begun = word+string(r), true
		}
	}
	if begun {
		out = append(out, word)
	}
	return out
}

// curl is what a line asks for.
type curl struct {
	method, url, body string
	headers           []string
	include, stream   bool
}

func parseCurl(t *testing.T, line string) (c curl) {
	t.Helper()
	args := words(line)[1:]
	query, asQuery := url.Values{}, false
	for i := 0; i < len(args); i++ {
		value := func() string { i++; return args[i] }
		switch args[i] {
		case "-X":
			c.method = value()
		case "-H":
			c.headers = append(c.headers, value())
		case "-d":
			c.body = value()
			name, v, _ := strings.Cut(c.body, "=")
			query.Set(name, v)
		case "--data-urlencode":
			name, v, _ := strings.Cut(value(), "=")
			query.Set(name, v)
		case "-G":
			asQuery = true
		case "-i":
			c.include = true
		case "-N":
			c.stream = true
		default:
			if strings.HasPrefix(args[i], "-") {
				t.Fatalf("%s: flag %s is not known here", line, args[i])
			}
			c.url = args[i]
		}
	}
	if asQuery {
		c.url, c.body = c.url+"?"+query.Encode(), ""
	}
	if c.method == "" {
		c.method = http.MethodGet
	}
	return c
}

// ask makes the request as curl would, and gives back its output.
func (c curl) ask(t *testing.T) (status int, output string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, c.method, c.url, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	if c.body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded") // as curl -d does
	}
	for _, h := range c.headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if c.include {
		var head bytes.Buffer
		_ = resp.Header.Write(&head)
		output = head.String()
	}
	if c.stream {
		return resp.StatusCode, output + untilBookmark(resp.Body)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, output + string(text)
}

// untilBookmark reads a stream to the end of its listing.
func untilBookmark(r io.Reader) string {
	var got []byte
	for chunk := make([]byte, 4096); !bytes.Contains(got, []byte("bookmark")) || !bytes.HasSuffix(got, []byte("\n")); {
		n, err := r.Read(chunk)
		got = append(got, chunk[:n]...)
		if err != nil {
			break
		}
	}
	return string(got)
}

// run lets the real curl do it.
func run(t *testing.T, program, line string, stream bool) (status int, output string) {
	t.Helper()
	const mark = "\nstatus:"
	args := append([]string{"-sS", "--noproxy", "*", "--max-time", "10", "-w", mark + "%{http_code}"}, words(line)[1:]...)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if stream {
		output = untilBookmark(out)
		cancel()
		_ = cmd.Wait()
		return http.StatusOK, output // a stream that was refused holds no bookmark
	}
	text, _ := io.ReadAll(out)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%s: %v: %s", line, err, text)
	}
	output, code, _ := strings.Cut(string(text), mark)
	status, _ = strconv.Atoi(code)
	return status, output
}

// docsWorld is the cluster that the page tells of.
func docsWorld(t *testing.T) *web {
	w := newWorld(t, 3, Limits{})
	w.putSpec("cache")
	w.seed("cache")
	first := w.failover("cache")
	w.finish(first, "url")
	second := w.failover("cache")
	w.finish(second, "url")
	w.stick(second, "a")
	return w.web("n1")
}

// Each line of docs/http.md does what the page says: by net/http, and by curl
// itself where there is one.
func TestDocumentedRequests(t *testing.T) {
	ways := map[string]func(t *testing.T, line string) (int, string){
		"net/http": func(t *testing.T, line string) (int, string) { return parseCurl(t, line).ask(t) },
	}
	if program, err := exec.LookPath("curl"); err == nil {
		ways["curl"] = func(t *testing.T, line string) (int, string) {
			return run(t, program, line, parseCurl(t, line).stream)
		}
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			b := docsWorld(t)
			for _, e := range examples(t) {
				line := strings.ReplaceAll(e.line, "http://127.0.0.1:7802", b.url)
				status, output := way(t, line)
				if status != e.status {
					t.Errorf("%s: %d, the page says %d: %s", e.line, status, e.status, output)
				}
				e.compare(t, output)
			}
		})
	}
}

func (e example) compare(t *testing.T, output string) {
	t.Helper()
	if e.json != "" {
		var want, have any
		if err := json.Unmarshal([]byte(e.json), &want); err != nil {
			t.Fatalf("%s: the page has %s: %v", e.line, e.json, err)
		}
		if err := json.Unmarshal([]byte(output), &have); err != nil || !holds(have, want) {
			t.Errorf("%s: answers %s, the page says %s", e.line, output, e.json)
		}
	}
	for line := range strings.Lines(e.text) {
		for piece := range strings.SplitSeq(strings.TrimSpace(line), "…") {
			if !strings.Contains(output, piece) {
				t.Errorf("%s: answers %s, the page says %s", e.line, output, line)
			}
		}
	}
}

// holds reports whether a JSON value has all that another one names.
func holds(have, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		in, ok := have.(map[string]any)
		for name, v := range want {
			ok = ok && holds(in[name], v)
		}
		return ok
	case []any:
		in, ok := have.([]any)
		ok = ok && len(in) == len(want)
		for i := 0; ok && i < len(want); i++ {
			ok = holds(in[i], want[i])
		}
		return ok
	}
	return reflect.DeepEqual(have, want)
}
