package shopify

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Kind writes app-data metafields of Shopify shops and has webhook subscriptions
// stand there. All methods may be called concurrently. It is registered under Name,
// under HooksName and under TargetName: both kinds of step share a target's client.
type Kind struct {
	config   Config
	versions *versions
	counts   *counts
	vault    actuators.Vault // nil: no tokens that rotate
}

var (
	_ actuators.Kind     = (*Kind)(nil)
	_ actuators.Targeted = (*Kind)(nil)
	_ actuators.Keeper   = (*Kind)(nil)
	_ actuators.Constant = (*Kind)(nil)
)

// New makes the kind.
func New(c Config) *Kind {
	return &Kind{config: c.withDefaults(), versions: newVersions(), counts: newCounts()}
}

// Keep implements actuators.Keeper.
func (k *Kind) Keep(vault actuators.Vault) actuators.Kind {
	return &Kind{config: k.config, versions: k.versions, counts: k.counts, vault: vault}
}

// Target implements actuators.Targeted.
func (k *Kind) Target() string { return TargetName }

// Constant implements actuators.Constant: webhook subscriptions know no master.
func (k *Kind) Constant(step fsm.Step) bool { return step.Kind == HooksName }

// problems collects what is wrong in a message.
type problems []actuators.Problem

func (p *problems) add(path, format string, args ...any) {
	*p = append(*p, actuators.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
}

// privateApp is why an address with a key and a password is refused.
const privateApp = "a key and a password in the address are those of a private app, which Shopify no longer makes: " +
	"make a custom app in the shop or the Dev Dashboard and name its access token, or its client id and secret"

// CheckTarget implements actuators.Kind.
func (k *Kind) CheckTarget(msg proto.Message) []actuators.Problem {
	t, ok := msg.(*pb.ShopifyTarget)
	if !ok || t == nil {
		return []actuators.Problem{{Message: "not a shopify target"}}
	}
	var p problems
	switch {
	case strings.Contains(t.GetShop(), "@"): // not quoted: it holds a password
		p.add("shop", "%s", privateApp)
	case !regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,99}\.myshopify\.com$`).MatchString(t.GetShop()):
		p.add("shop", "%q is not a shop's permanent name, such as example.myshopify.com", wire.Cut(t.GetShop(), wire.MaxMessage))
	}
	if !regexp.MustCompile(`^20[0-9]{2}-(01|04|07|10)$`).MatchString(t.GetApiVersion()) {
		p.add("api_version", "%q is not a quarterly version, such as 2026-10", wire.Cut(t.GetApiVersion(), wire.MaxMessage))
	}
	checkEndpoint(&p, t.GetEndpoint())
	checkLogin(&p, t)
	return p
}

// checkLogin wants one way to a token. What stands where a reference should may be
// a token: it is not quoted.
func checkLogin(p *problems, t *pb.ShopifyTarget) {
	grant, refresh, ways := t.GetClientCredentials(), t.GetRefresh(), 0
	reference := func(path, text string) {
		if !wire.IsReference(text) {
			p.add(path, "want file:/PATH, env:NAME or credential:NAME")
		}
	}
	app := func(path, id string) {
		if !regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`).MatchString(id) {
			p.add(path, "want 1 to 128 letters, digits, '_' or '-'")
		}
	}
	if t.GetToken() != "" {
		ways++
		reference("token", t.GetToken())
	}
	if grant != nil {
		ways++
		app("client_credentials.client_id", grant.GetClientId())
		reference("client_credentials.client_secret", grant.GetClientSecret())
	}
	if refresh != nil {
		ways++
		app("refresh.client_id", refresh.GetClientId())
		reference("refresh.client_secret", refresh.GetClientSecret())
		reference("refresh.refresh_token", refresh.GetRefreshToken())
	}
	if ways != 1 {
		p.add("", "want one of token, client_credentials and refresh")
	}
}

func checkEndpoint(p *problems, endpoint string) {
	if endpoint == "" {
		return
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		p.add("endpoint", "not an http(s) URL")
	case u.User != nil:
		p.add("endpoint", "%s", privateApp)
	case u.RawQuery != "" || u.Fragment != "":
		p.add("endpoint", "a URL without query and fragment is wanted")
	}
}

// Plan implements actuators.Kind.
func (k *Kind) Plan(in actuators.StepInput) (actuators.Planned, []actuators.Problem) {
	var p problems
	switch in.TargetMsg.(type) {
	case *pb.ShopifyTarget:
	case nil:
		p.add("", "needs a target of kind shopify")
	default:
		p.add("", "target %q is not of kind shopify", in.Target)
	}
	if msg, ok := in.Message.(*pb.ShopifyWebhooksStep); ok && msg != nil {
		return planHooks(in, msg, p)
	}
	return planFields(in, p)
}

// planFields has one object for all of a step's metafields: they are written
// together, and their namespace is its own.
func planFields(in actuators.StepInput, p problems) (actuators.Planned, []actuators.Problem) {
	msg, ok := in.Message.(*pb.ShopifyMetafieldsStep)
	if !ok || msg == nil {
		return actuators.Planned{}, []actuators.Problem{{Message: "not a shopify_metafields step"}}
	}
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{3,255}$`).MatchString(msg.GetNamespace()) {
		p.add("namespace", "%q is not 3 to 255 letters, digits, '_' or '-'", wire.Cut(msg.GetNamespace(), wire.MaxMessage))
	}
	if n := len(msg.GetValues()); n == 0 || n > MaxValues {
		p.add("values", "%d values; one call writes 1 to %d", n, MaxValues)
	}
	for _, key := range slices.Sorted(maps.Keys(msg.GetValues())) {
		at := fmt.Sprintf("values[%q]", key)
		if !regexp.MustCompile(`^[A-Za-z0-9_-]{2,64}$`).MatchString(key) {
			p.add(at, "the key is not 2 to 64 letters, digits, '_' or '-'")
		}
		t, err := actuators.ParseTemplate(msg.GetValues()[key])
		if err == nil {
			err = t.DryRun(in)
		}
		if err != nil {
			p.add(at, "%v", err)
		}
	}
	if _, known := pb.Foreign_name[int32(msg.GetForeign())]; !known {
		p.add("foreign", "unknown policy %d", msg.GetForeign())
	}
	object := fsm.ObjectID(fmt.Sprintf("%s/metafields/%s", in.Target, msg.GetNamespace()))
	return actuators.Planned{Object: object, Class: fsm.Fenced}, p
}

// Render implements actuators.Kind.
func (k *Kind) Render(step fsm.Step, facts actuators.Facts) (fsm.Value, error) {
	if step.Kind == HooksName {
		return renderHooks(step)
	}
	msg, err := paramsOf(step)
	if err != nil {
		return fsm.Value{}, actuators.Permanent(err)
	}
	v := wanted{Namespace: msg.GetNamespace(), Values: map[string]string{}}
	for key, source := range msg.GetValues() {
		t, err := actuators.ParseTemplate(source)
		if err == nil {
			v.Values[key], err = t.Execute(facts)
		}
		if err != nil {
			return fsm.Value{}, actuators.Permanent(fmt.Errorf("value of %s: %w", key, err))
		}
	}
	raw, err := encode(v)
	if err != nil {
		return fsm.Value{}, actuators.Permanent(fmt.Errorf("render step %s: %w", step.Name, err))
	}
	return fsm.Value{Step: step.Name, Value: raw, Wanted: v.String()}, nil
}

func paramsOf(step fsm.Step) (*pb.ShopifyMetafieldsStep, error) {
	var msg pb.ShopifyMetafieldsStep
	if err := proto.Unmarshal(step.Params, &msg); err != nil {
		return nil, fmt.Errorf("read step %s: %w", step.Name, err)
	}
	return &msg, nil
}

// Open implements actuators.Kind. The actuator has a Close, for idle connections.
func (k *Kind) Open(target fsm.TargetSpec, budget actuators.Budget) (actuators.Actuator, error) {
	var msg pb.ShopifyTarget
	if err := proto.Unmarshal(target.Params, &msg); err != nil {
		return nil, fmt.Errorf("read target %s: %w", target.ID, err)
	}
	base := strings.TrimSuffix(msg.GetEndpoint(), "/")
	if base == "" {
		base = "https://" + msg.GetShop()
	}
	c := &client{version: msg.GetApiVersion()}
	var err error
	if c.login, err = k.login(target.ID, &msg, c); err != nil {
		return nil, fmt.Errorf("target %s: %w", target.ID, err)
	}
	c.wire = wire.New(wire.Config{Base: base, Dial: k.config.Dial, Budget: budget, Secrets: c.login.secrets()})
	c.answered = func(version string) { k.versions.note(target.ID, msg.GetApiVersion(), version) }
	counted := func(n hookCount) { k.counts.note(target.ID, n) }
	return &actuator{client: c, fields: &fields{c}, hooks: newHooks(c, counted)}, nil
}
