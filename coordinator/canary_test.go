package coordinator_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/linode"
	"github.com/pointsman/pointsman/actuators/octavia"
	"github.com/pointsman/pointsman/actuators/ovhip"
	"github.com/pointsman/pointsman/coordinator"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// parrot is a provider that says the credentials of its target back in every
// answer: pages, errors, odd fields, redirects, and at last a refusal for good.
type parrot struct {
	*httptest.Server
	secrets string // all of the target's, in one text
	login   func(w http.ResponseWriter, r *http.Request, n int, url string) bool

	mu    sync.Mutex // guards asked
	asked int
}

func newParrot(t *testing.T, secrets ...string) *parrot {
	t.Helper()
	p := &parrot{secrets: strings.Join(secrets, " ")}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *parrot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked++
	n := p.asked
	p.mu.Unlock()
	w.Header().Set("X-Request-Id", "id-of-an-answer")
	if p.login != nil && p.login(w, r, n, p.URL) {
		return
	}
	secrets := p.secrets
	if token := r.Header.Get("X-Auth-Token"); token != "" { // nobody says a token to who does not have it
		secrets += " " + token
	}
	said := fmt.Sprintf(`{"message":%q,"class":%q,"errorCode":%[1]q,"error":%[1]q,"faultstring":%[1]q,"errors":[{"reason":%[1]q,"message":%[1]q}],"data":%[1]q,"value":7}`,
		"no "+secrets, "Client::"+secrets)
	status := []int{http.StatusOK, http.StatusInternalServerError, http.StatusTooManyRequests, http.StatusFound, http.StatusOK, http.StatusConflict}[n%6]
	w.Header().Set("Content-Type", "application/json")
	switch {
	case n > 40: // long enough for each of the others to have had its turn
		status = http.StatusForbidden
	case n%6 == 3:
		w.Header().Set("Location", "http://192.0.2.1/?"+strings.ReplaceAll(secrets, " ", "&"))
	case n%6 == 4:
		w.Header().Set("Content-Type", "text/html")
		said = "<html>" + secrets + "</html>"
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, said)
}

func (p *parrot) requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// ovhTime answers for the provider's clock, which requests are signed with.
func ovhTime(w http.ResponseWriter, r *http.Request, _ int, _ string) bool {
	if !strings.HasSuffix(r.URL.Path, "/auth/time") {
		return false
	}
	fmt.Fprint(w, time.Now().Unix())
	return true
}

// keystone lets some log in, under a token that is a secret too.
func keystone(w http.ResponseWriter, r *http.Request, n int, url string) bool {
	if !strings.HasSuffix(r.URL.Path, "/auth/tokens") || n%2 == 0 {
		return false
	}
	w.Header().Set("X-Subject-Token", "canary-octavia-token")
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"token":{"catalog":[{"type":"load-balancer","endpoints":[{"interface":"public","region":"R","region_id":"R","url":%q}]}]}}`, url)
	return true
}

// badCrowd gives a spec a target of each kind that has a credential, with a
// provider or a program on a bad day, and one on a good one, all in one stage.
func badCrowd(t *testing.T, s *sights, spec *pointsmanv1.Spec) (bad map[string]*parrot, good *hook) {
	t.Helper()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return "file:" + path
	}
	bad = map[string]*parrot{
		"lb": newParrot(t, "canary-lb-key", "canary-lb-secret", "canary-lb-consumer"), "ip": newParrot(t, "canary-ip-key", "canary-ip-secret", "canary-ip-consumer"),
		"node": newParrot(t, "canary-node-token"), "listener": newParrot(t, "canary-octavia-secret"),
		"shop": newParrot(t, "canaryshoptoken"), "grant": newParrot(t, "canary-client-secret"), "deaf": newParrot(t, "canary-http-secret-0123"),
	}
	bad["lb"].login, bad["ip"].login, bad["listener"].login = ovhTime, ovhTime, keystone
	conf := func(name string) string {
		url := bad[name].URL
		return file(name+".conf", fmt.Sprintf("[%s]\napplication_key=canary-%s-key\napplication_secret=canary-%[2]s-secret\nconsumer_key=canary-%[2]s-consumer\n", url, name))
	}
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"denied to $API_TOKEN\"; echo \"$API_TOKEN\" >&2; exit 2\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	good = &hook{keys: map[string]string{}}
	server := httptest.NewServer(good)
	t.Cleanup(server.Close)
	a, b := s.nodes[0].Address(), s.nodes[1].Address()
	const uuid = "11111111-0000-4000-8000-00000000000"
	loopback := []string{"127.0.0.0/8"}
	type (
		target = pointsmanv1.Target
		step   = pointsmanv1.Step
	)
	spec.Targets = map[string]*target{
		"lb": {Kind: &pointsmanv1.Target_OvhIplb{OvhIplb: &pointsmanv1.OvhIplbTarget{Endpoint: bad["lb"].URL, Service: "ip-1", Credentials: conf("lb")}}},
		"ip": {Kind: &pointsmanv1.Target_OvhIp{OvhIp: &pointsmanv1.OvhIpTarget{Endpoint: bad["ip"].URL, Credentials: conf("ip")}}},
		"node": {Kind: &pointsmanv1.Target_LinodeNodebalancer{LinodeNodebalancer: &pointsmanv1.LinodeNodebalancerTarget{
			Endpoint: bad["node"].URL, Nodebalancer: 1, Token: file("token", "canary-node-token"),
		}}},
		"listener": {Kind: &pointsmanv1.Target_Octavia{Octavia: &pointsmanv1.OctaviaTarget{Loadbalancer: uuid + "1", Credentials: file("clouds.yaml",
			fmt.Sprintf(`clouds: {c: {region_name: R, auth: {auth_url: "%s/v3", application_credential_id: id, application_credential_secret: canary-octavia-secret}}}`, bad["listener"].URL))}}},
		"shop": {Kind: &pointsmanv1.Target_Shopify{Shopify: &pointsmanv1.ShopifyTarget{
			Shop: "example.myshopify.com", ApiVersion: "2026-10", Endpoint: bad["shop"].URL, Token: file("shop", "canaryshoptoken"),
		}}},
		"grant": {Kind: &pointsmanv1.Target_Shopify{Shopify: &pointsmanv1.ShopifyTarget{
			Shop: "other.myshopify.com", ApiVersion: "2026-10", Endpoint: bad["grant"].URL,
			ClientCredentials: &pointsmanv1.ShopifyClientCredentials{ClientId: "app", ClientSecret: file("grant", "canary-client-secret")},
		}}},
		"script": {Kind: &pointsmanv1.Target_Command{Command: &pointsmanv1.CommandTarget{
			Program: program, Secrets: map[string]string{"API_TOKEN": file("script", "canary-script-token")},
		}}},
		"deaf": {Kind: &pointsmanv1.Target_Http{Http: &pointsmanv1.HttpTarget{Url: bad["deaf"].URL, Secret: file("deaf", "canary-http-secret-0123"), Allow: loopback}}},
		"good": {Kind: &pointsmanv1.Target_Http{Http: &pointsmanv1.HttpTarget{Url: server.URL, Secret: file("good", "0123456789abcdef-good"), Allow: loopback}}},
	}
	steps := []*step{
		{Name: "lb", Kind: &pointsmanv1.Step_OvhIplb{OvhIplb: &pointsmanv1.OvhIplbStep{Frontend: 1, Farms: map[string]int64{a: 11, b: 12}}}},
		{Name: "ip", Kind: &pointsmanv1.Step_OvhIp{OvhIp: &pointsmanv1.OvhIpStep{Ip: "203.0.113.9", Services: map[string]string{a: "ns1.example", b: "ns2.example"}}}},
		{Name: "node", Kind: &pointsmanv1.Step_LinodeNodebalancer{LinodeNodebalancer: &pointsmanv1.LinodeNodebalancerStep{
			Config: 1, Node: 1, Backends: map[string]string{a: "192.168.133.20:6379", b: "192.168.133.21:6379"},
		}}},
		{Name: "listener", Kind: &pointsmanv1.Step_Octavia{Octavia: &pointsmanv1.OctaviaStep{Listener: uuid + "2", Pools: map[string]string{a: uuid + "3", b: uuid + "4"}}}},
		{Name: "shop", Kind: &pointsmanv1.Step_ShopifyMetafields{ShopifyMetafields: &pointsmanv1.ShopifyMetafieldsStep{Namespace: "pointsman", Values: map[string]string{"url": "{{.New}}"}}}},
		{Name: "grant", Kind: &pointsmanv1.Step_ShopifyMetafields{ShopifyMetafields: &pointsmanv1.ShopifyMetafieldsStep{Namespace: "pointsman", Values: map[string]string{"url": "{{.New}}"}}}},
		{Name: "script", Kind: &pointsmanv1.Step_Command{Command: &pointsmanv1.CommandStep{Repeat: pointsmanv1.Repeat_REPEAT_KEYED}}},
		{Name: "deaf", Kind: &pointsmanv1.Step_Http{Http: &pointsmanv1.HttpStep{}}},
		{Name: "good", Kind: &pointsmanv1.Step_Http{Http: &pointsmanv1.HttpStep{}}},
	}
	for _, one := range steps {
		one.Target, one.Timeout = one.Name, durationpb.New(2*time.Second)
		spec.Targets[one.Name].Rate = 6000
	}
	spec.Masters[0].Plan[0].Steps = append(spec.Masters[0].Plan[0].Steps, steps...)
	return bad, good
}

// output keeps what is logged.
type output struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

// TestBadDays_NoSecretAndOthersGoOn gives each kind of target a provider that says its
// credentials back, in every form that an answer has. The good one's action is
// done as on any day; and no credential is in a log line, in what the API or the
// metrics answer, or in anything on disk, a snapshot of each node included.
func TestBadDays_NoSecretAndOthersGoOn(t *testing.T) {
	logs := &output{}
	s := newSights(t)
	tr := threeOf(t, func(_ int, o *coordinator.Options) {
		all := actuators.Kinds{linode.Name: linode.New(linode.Config{}), octavia.Name: octavia.New(octavia.Config{}), ovhip.Name: ovhip.New(ovhip.Config{})}
		for name, kind := range kinds() {
			all[name] = kind
		}
		o.Node.Snapshot = &pointsmanv1.Snapshot{Entries: 16}
		o.Kinds, o.Logger = all, slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	spec := s.spec()
	bad, good := badCrowd(t, s, spec)
	tr.apply(spec)
	s.promote(1, 2)
	eventually(t, "the good target's action", func(context.Context) error {
		good.mu.Lock()
		defer good.mu.Unlock()
		if good.value != s.nodes[1].Address() {
			return fmt.Errorf("it was told %q", good.value)
		}
		return nil
	})
	shown := &output{}
	eventually(t, "every bad one stuck", func(ctx context.Context) error {
		said, err := pointsmanv1.NewActionServiceClient(tr.dial(1)).ListActions(ctx, &pointsmanv1.ListActionsRequest{PageSize: 100})
		fmt.Fprintln(shown, said)
		stuck := 0
		for _, a := range said.GetActions() {
			if a.GetState() == pointsmanv1.ActionState_ACTION_STATE_STUCK {
				stuck++
			}
		}
		if err == nil && stuck != len(bad)+1 {
			err = fmt.Errorf("%d of %d are stuck: %v", stuck, len(bad)+1, said.GetActions())
		}
		return err
	})
	for name, p := range bad {
		if p.requests() < 10 {
			t.Errorf("%s was asked %d times: not every answer had its turn", name, p.requests())
		}
	}
	tr.showAll(shown, spec)
	eventually(t, "a snapshot on every node", func(context.Context) error {
		for _, f := range tr.files {
			if taken, err := filepath.Glob(filepath.Join(f.GetDataDir(), "snapshots", "*", "state.bin")); err != nil || len(taken) == 0 {
				return fmt.Errorf("%s has none: %w", f.GetId(), errors.Join(err, errors.New("not yet")))
			}
		}
		return nil
	})
	for i := range tr.nodes {
		tr.stop(i)
	}
	noCanary(t, "a log line", logs.text.String())
	noCanary(t, "an answer", shown.text.String())
	for _, f := range tr.files {
		noCanaryOnDisk(t, f.GetDataDir())
	}
}

// showAll asks each node for what it has to say.
func (tr *trio) showAll(to io.Writer, spec *pointsmanv1.Spec) {
	tr.t.Helper()
	ctx, cancel := context.WithTimeout(tr.t.Context(), 20*time.Second)
	defer cancel()
	checked, err := pointsmanv1.NewSpecServiceClient(tr.dial(tr.leader())).CheckSpec(ctx, &pointsmanv1.CheckSpecRequest{Spec: spec})
	fmt.Fprintln(to, checked, err)
	for _, f := range tr.files {
		for _, path := range []string{
			"/metrics", "/v1/masters", "/v1/masters/cache", "/v1/failovers", "/v1/failovers/cache/1", "/v1/actions", "/v1/actions/cache/1/lb", "/v1/actions/cache/1/shop",
			"/v1/settings", "/v1/spec", "/v1/spec/revisions", "/v1/cluster", "/livez", "/readyz", "/",
		} {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+f.GetListen().GetHttp()+path, nil)
			if err != nil {
				tr.t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				tr.t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil {
				tr.t.Fatal(err)
			}
			fmt.Fprintf(to, "%s: %s\n", path, body)
		}
	}
}

func noCanary(t *testing.T, where, text string) {
	t.Helper()
	if at := strings.Index(text, "canary"); at >= 0 {
		t.Errorf("a credential is in %s: %q", where, text[max(0, at-200):min(len(text), at+60)])
	}
	if len(text) < 1000 {
		t.Errorf("%s: only %d bytes were looked at", where, len(text))
	}
}

// noCanaryOnDisk looks into log and snapshots as they are.
func noCanaryOnDisk(t *testing.T, dir string) {
	t.Helper()
	seen := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		seen += len(raw)
		if bytes.Contains(raw, []byte("canary")) {
			t.Errorf("a credential is in %s", path)
		}
		return err
	})
	if err != nil || seen < 10_000 {
		t.Errorf("%d bytes on disk, %v", seen, err)
	}
}
