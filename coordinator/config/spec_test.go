package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

const goodSpec = `# one master, one load balancer
masters:
  - id: cache
    sentinel:
      name: mymaster
      addresses: [10.0.1.10:26379, 10.0.2.10:26379, 10.0.3.10:26379]
      password: credential:sentinel
    candidates:
      - {address: 10.0.1.20:6379, zone: a}
      - {address: 10.0.2.20:6379, zone: b}
    plan:
      - stage: cutover
        steps:
          - name: lb
            target: lb-par
            timeout: 2500ms
            on_failure: block
            on_newer: write
            ovh_iplb: {frontend: 4711, farms: {"10.0.1.20:6379": 11, "10.0.2.20:6379": 12}, foreign: adopt}
          - {name: url, setting: {key: redis/cache/url, value: "redis://{{.New}}/0"}}
targets:
  lb-par: {hold: 10s, rate: 30, ovh_iplb: {endpoint: ovh-eu, service: ip-203.0.113.7, credentials: file:/etc/pointsman/ovh.conf}}
`

func TestGoodSpec(t *testing.T) {
	spec, file, err := ParseSpec("spec.yaml", []byte(goodSpec))
	if err != nil {
		t.Fatal(err)
	}
	step := spec.GetMasters()[0].GetPlan()[0].GetSteps()[0]
	if got := step.GetTimeout().AsDuration().String(); got != "2.5s" {
		t.Errorf("timeout %s, want 2.5s", got)
	}
	if step.GetOnFailure() != pointsmanv1.OnFailure_ON_FAILURE_BLOCK || step.GetOnNewer() != pointsmanv1.OnNewer_ON_NEWER_WRITE ||
		step.GetOvhIplb().GetForeign() != pointsmanv1.Foreign_FOREIGN_ADOPT {
		t.Errorf("short enum names were not read: %v", step)
	}
	for path, want := range map[string]string{
		`masters[0].plan[0].steps[0].ovh_iplb.farms["10.0.2.20:6379"]`: `spec.yaml:19:88: masters[0].plan[0].steps[0].ovh_iplb.farms["10.0.2.20:6379"]: m`,
		"masters[0].plan[0].steps[1].name":                             "spec.yaml:20:20: masters[0].plan[0].steps[1].name: m",
		"masters[0].plan[0].steps[1].target":                           "spec.yaml:20:13: masters[0].plan[0].steps[1].target: m",
		`targets["lb-par"].ovh_iplb.service`:                           `spec.yaml:22:71: targets["lb-par"].ovh_iplb.service: m`,
		"masters[7].plan":                                              "spec.yaml:3:3: masters[7].plan: m",
		"":                                                             "spec.yaml:2:1: m",
	} {
		if got := file.Locate(Problem{Path: path, Message: "m"}); got != want {
			t.Errorf("Locate(%s)\n got %s\nwant %s", path, got, want)
		}
	}
}

func TestLineEndsOfWindows(t *testing.T) {
	_, file, err := ParseSpec("s", []byte(strings.ReplaceAll(goodSpec, "\n", "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := file.Locate(Problem{Path: "targets", Message: "m"}), "s:22:3: targets: m"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSpecSurvivesPrinting(t *testing.T) {
	spec, _, err := ParseSpec("spec.yaml", []byte(goodSpec))
	if err != nil {
		t.Fatal(err)
	}
	var printed strings.Builder
	if err := PrintYAML(&printed, spec); err != nil {
		t.Fatal(err)
	}
	again, _, err := ParseSpec("printed.yaml", []byte(printed.String()))
	if err != nil {
		t.Fatalf("%v\n%s", err, printed.String())
	}
	if !proto.Equal(spec, again) {
		t.Errorf("printed spec reads differently:\n%s", printed.String())
	}
	for _, want := range []string{"on_failure: block", "frontend: 4711", "password: credential:sentinel"} {
		if !strings.Contains(printed.String(), want) {
			t.Errorf("no %q in\n%s", want, printed.String())
		}
	}
}

// edit replaces one text of the good spec; it must occur.
func edit(t *testing.T, pairs ...string) string {
	t.Helper()
	out := goodSpec
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(out, pairs[i]) {
			t.Fatalf("the good spec holds no %q", pairs[i])
		}
		out = strings.Replace(out, pairs[i], pairs[i+1], 1)
	}
	return out
}

// stepKinds lists the kinds of a step, as messages do.
func stepKinds() string {
	fields := (&pointsmanv1.Step{}).ProtoReflect().Descriptor().Oneofs().ByName("kind").Fields()
	var names []string
	for i := range fields.Len() {
		names = append(names, string(fields.Get(i).Name()))
	}
	return strings.Join(names, ", ")
}

func TestBadSpec(t *testing.T) {
	const step = "masters[0].plan[0].steps[0]"
	for _, tc := range []struct {
		name string
		edit []string
		want []string
	}{
		{"tab as indent", []string{"    sentinel:", "\tsentinel:"}, []string{
			"s:4:1: not YAML: found character '\t' that cannot start any token"}},
		{"unclosed flow", []string{"{address: 10.0.1.20:6379, zone: a}", "{address: 10.0.1.20:6379, zone: a"}, []string{
			`s:10:7: not YAML: ',' or '}' must be specified`}},
		{"two documents", []string{"targets:", "---\ntargets:"}, []string{
			"s: holds 2 YAML documents, must hold one"}},
		{"duplicate key", []string{"      name: mymaster", "      name: mymaster\n      name: other"}, []string{
			"s:6:7: masters[0].sentinel.name: written twice; first in line 5, column 7"}},
		{"duplicate map key", []string{`"10.0.2.20:6379": 12`, `"10.0.1.20:6379": 12`}, []string{
			`s:19:70: ` + step + `.ovh_iplb.farms["10.0.1.20:6379"]: written twice; first in line 19, column 48`}},
		{"unknown field", []string{"on_failure:", "on_failur:", "\ntargets:", "\nbogus: 1\ntargets:"}, []string{
			"s:17:13: " + step + `.on_failur: unknown field; did you mean "on_failure"?`,
			"s:21:1: bogus: unknown field; known are masters, targets, leader_placement, pools"}},
		{"misspelt kind is told once", []string{"ovh_iplb: {frontend", "ovh_ilpb: {frontend"}, []string{
			"s:19:13: " + step + `.ovh_ilpb: unknown field; did you mean "ovh_iplb"?`}},
		{"bad duration", []string{"2500ms", "5 sec"}, []string{
			"s:16:22: " + step + ".timeout: must be a duration such as 500ms, 5s or 1m30s, is \"5 sec\""}},
		{"duration out of bounds", []string{"2500ms", "5ms"}, []string{
			"s:16:22: " + step + ".timeout: must be greater than or equal to 0.1s and less than or equal to 60s, is 5ms"}},
		{"bad enum", []string{"on_failure: block", "on_failure: blok"}, []string{
			"s:17:25: " + step + ".on_failure: must be one of continue, block, is \"blok\""}},
		{"bad number", []string{"rate: 30", "rate: -1"}, []string{
			`s:22:29: targets["lb-par"].rate: must be a whole number from 0 to 4294967295, is "-1"`}},
		{"list expected", []string{"addresses: [10.0.1.10:26379, 10.0.2.10:26379, 10.0.3.10:26379]", "addresses: 10.0.1.10:26379"}, []string{
			`s:6:18: masters[0].sentinel.addresses: must be a list, is "10.0.1.10:26379"`}},
		{"address without port", []string{"10.0.2.10:26379", "10.0.2.10"}, []string{
			`s:6:36: masters[0].sentinel.addresses[1]: must be host:port, is "10.0.2.10"`}},
		{"address twice", []string{"10.0.2.10:26379", "10.0.1.10:26379"}, []string{
			`s:6:36: masters[0].sentinel.addresses[1]: "10.0.1.10:26379" is used twice, first as masters[0].sentinel.addresses[0]`}},
		{"two masters with one id", []string{"\ntargets:", "\n  - id: cache\n    sentinel: {name: m, addresses: [h:1]}\n    candidates: [{address: h:2, zone: a}]\ntargets:"}, []string{
			`s:21:9: masters[1].id: "cache" is used twice, first as masters[0].id`}},
		{"two steps with one name", []string{"{name: url,", "{name: lb,"}, []string{
			`s:20:20: masters[0].plan[0].steps[1].name: "lb" is used twice, first as masters[0].plan[0].steps[0].name`}},
		{"two kinds in a step", []string{"foreign: adopt}", "foreign: adopt}\n            setting: {key: a, value: b}"}, []string{
			"s:20:13: " + step + ".setting: only one of " + stepKinds() + " may be set, and ovh_iplb is"}},
		{"no kind", []string{", setting: {key: redis/cache/url, value: \"redis://{{.New}}/0\"}", ""}, []string{
			"s:20:13: masters[0].plan[0].steps[1]: must have exactly one of " + stepKinds()}},
		{"missing field", []string{"      name: mymaster\n", ""}, []string{
			"s:5:7: masters[0].sentinel.name: must be set"}},
		{"bad names", []string{"id: cache", "id: Cache_1", "  lb-par:", "  LB:"}, []string{
			`s:3:9: masters[0].id: must be 1 to 63 lower-case letters, digits and inner dashes, is "Cache_1"`,
			`s:22:3: targets["LB"]: must be 1 to 63 lower-case letters, digits and inner dashes, is "LB"`}},
		{"farm of id 0", []string{`"10.0.2.20:6379": 12`, `"10.0.2.20:6379": 0`}, []string{
			"s:19:88: " + step + `.ovh_iplb.farms["10.0.2.20:6379"]: must be greater than 0, is 0`}},
		{"alias", []string{"      - {address: 10.0.2.20:6379, zone: b}", "      - *other"}, []string{
			`s:10:9: anchors (&) and aliases (*) are not supported; quote a value that begins with one of them`}},
		{"broken UTF-8", []string{"zone: a}", "zone: \xff}"}, []string{
			"s:9:41: not UTF-8"}},
		{"control character", []string{"zone: a}", "zone: \x07}"}, []string{
			"s:9:41: must not hold the character U+0007"}},
		{"scalar instead of a file", []string{goodSpec, "hello"}, []string{
			"s:1:1: must be a mapping of fields to values"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := ParseSpec("s", []byte(edit(t, tc.edit...)))
			wantProblems(t, err, tc.want)
		})
	}
}

func wantProblems(t *testing.T, err error, want []string) {
	t.Helper()
	var invalid *InvalidError
	if !errors.As(err, &invalid) {
		t.Fatalf("got %v, want an InvalidError", err)
	}
	wantLines(t, err.Error(), want)
}

func wantLines(t *testing.T, text string, want []string) {
	t.Helper()
	lines := strings.Split(text, "\n")
	if diff := cmp.Diff(want, lines[:len(lines)-1]); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

// A secret written out is refused, and shows in no message, whatever else is
// wrong around it.
func TestLiteralSecretIsNotShown(t *testing.T) {
	const secret = "hunter2-in-the-clear"
	for _, literal := range []string{secret, "[" + secret + "]", "{a: " + secret + "}", `"` + secret, secret + ": 1", "env:" + secret + " x", "*" + secret, "&" + secret + " x", "!!int " + secret} {
		source := edit(t, "credential:sentinel", literal)
		_, _, err := ParseSpec("s", []byte(source))
		if err == nil {
			t.Errorf("%s was accepted", literal)
			continue
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error shows it: %v", literal, err)
		}
	}
	var printed strings.Builder
	m := &pointsmanv1.RedisSpec{User: "u", Password: secret}
	if err := PrintYAML(&printed, m); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(printed.String(), secret) || !strings.Contains(printed.String(), masked) {
		t.Errorf("printed %s", printed.String())
	}
}

// A password inside an address is refused, and shows in no message; the reason does.
func TestPasswordInAnAddressIsNotShown(t *testing.T) {
	const secret = "hunter2"
	shop := func(name string) string {
		return "targets:\n  shop: {shopify: {shop: \"" + name + "\", api_version: 2026-10, token: env:TOKEN}}\n"
	}
	hook := func(url string) string {
		return "targets:\n  hook: {http: {url: \"" + url + "\", secret: env:SECRET}}\n"
	}
	for name, c := range map[string]struct{ source, reason string }{
		"shop":           {shop("https://key:hunter2@x.myshopify.com"), "which Shopify no longer makes"},
		"bare shop":      {shop("key:hunter2@x.myshopify.com"), "which Shopify no longer makes"},
		"hook":           {hook("https://user:hunter2@example.com/hook"), "without user, query and fragment"},
		"hook's query":   {hook("https://example.com/hook?token=hunter2"), "without user, query and fragment"},
		"hook's part":    {hook("https://example.com/hook#hunter2"), "without user, query and fragment"},
		"wrong type":     {"targets:\n  hook: {rate: \"https://user:hunter2@example.com\"}\n", "rate: "},
		"linode":         {"targets:\n  nb: {linode_nodebalancer: {nodebalancer: 1, token: env:T, endpoint: \"ftp://user:hunter2@example.com\"}}\n", "must be an http(s) URL"},
		"ovh":            {"targets:\n  lb: {ovh_iplb: {service: ip-1, credentials: env:T, endpoint: \"ftp://user:hunter2@example.com\"}}\n", "must be ovh-eu"},
		"Sentinels":      {edit(t, "10.0.1.10:26379", "\"user:hunter2@10.0.1.10:26379\""), "must be host:port"},
		"Sentinel twice": {edit(t, "10.0.2.10:26379, 10.0.3.10:26379", "\"u:hunter2@h:1\", \"u:hunter2@h:1\""), "used twice"},
	} {
		_, _, err := ParseSpec("s", []byte(c.source))
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		if strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLoadSpec(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := LoadSpec(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, make([]byte, MaxFileBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := LoadSpec(large); !errors.Is(err, ErrTooLarge) {
		t.Errorf("large file: %v", err)
	}
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	spec, file, err := LoadSpec(empty)
	if err != nil || len(spec.GetMasters()) != 0 || file.Name() != empty {
		t.Errorf("an empty spec watches nothing: %v, %v", spec, err)
	}
}

func TestInvalidIsBoundedAndOrdered(t *testing.T) {
	_, file, err := ParseSpec("s", []byte(goodSpec))
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Invalid(nil); err != nil {
		t.Errorf("no problems: %v", err)
	}
	late, early := Problem{Path: "targets", Message: "late"}, Problem{Path: "masters", Message: "early"}
	wantProblems(t, file.Invalid([]Problem{late, early, early}), []string{"s:3:3: masters: early", "s:22:3: targets: late"})
	var many []Problem
	for i := range MaxProblems + 5 {
		many = append(many, Problem{Message: strings.Repeat("x", i+1)})
	}
	text := file.Invalid(many).Error()
	if !strings.Contains(text, "\ns: and 5 more\n105 problems") {
		t.Errorf("not bounded: %s", text[len(text)-80:])
	}
}
