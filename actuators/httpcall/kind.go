package httpcall

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Kind posts events. All methods may be called concurrently.
type Kind struct{ config Config }

var _ actuators.Kind = (*Kind)(nil)

// New makes the kind.
func New(c Config) *Kind { return &Kind{config: c.withDefaults()} }

// CheckTarget implements actuators.Kind.
func (k *Kind) CheckTarget(msg proto.Message) []actuators.Problem {
	t, ok := msg.(*pb.HttpTarget)
	if !ok || t == nil {
		return []actuators.Problem{{Message: "not an http target"}}
	}
	var problems []actuators.Problem
	add := func(path, format string, args ...any) {
		problems = append(problems, actuators.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	switch u, err := url.Parse(t.GetUrl()); {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		add("url", "not an http(s) URL")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		add("url", "a URL without user, query and fragment is wanted")
	case u.Scheme == "http" && len(t.GetAllow()) == 0:
		add("url", "http:// is for a network of yours only: name it in allow, or use https://")
	}
	if !wire.IsReference(t.GetSecret()) {
		add("secret", "want file:/PATH, env:NAME or credential:NAME") // may be a secret: not quoted
	}
	if t.GetCa() != "" && !wire.IsReference(t.GetCa()) {
		add("ca", "want file:/PATH, env:NAME or credential:NAME")
	}
	if _, bad := prefixes(t.GetAllow()); bad >= 0 {
		add(fmt.Sprintf("allow[%d]", bad), "%q is not a network, such as 10.0.0.0/8", t.GetAllow()[bad])
	}
	if len(t.GetAllow()) > MaxNetworks {
		add("allow", "more than %d networks", MaxNetworks)
	}
	return problems
}

// prefixes parses networks; bad is the first that is none, or -1.
func prefixes(texts []string) (all []netip.Prefix, bad int) {
	for i, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, i
		}
		all = append(all, p.Masked())
	}
	return all, -1
}

// Plan implements actuators.Kind.
func (k *Kind) Plan(in actuators.StepInput) (actuators.Planned, []actuators.Problem) {
	msg, ok := in.Message.(*pb.HttpStep)
	if !ok || msg == nil {
		return actuators.Planned{}, []actuators.Problem{{Message: "not an http step"}}
	}
	var problems []actuators.Problem
	add := func(path, format string, args ...any) {
		problems = append(problems, actuators.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	if target, ok := in.TargetMsg.(*pb.HttpTarget); !ok || target == nil {
		add("", "needs a target of kind http")
	}
	object := msg.GetObject()
	if object == "" {
		object = string(in.Master)
	} else if !regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`).MatchString(object) {
		add("object", "%q is not a word of letters, digits, '.', '_' and '-'", object)
	}
	if t, err := actuators.ParseTemplate(valueOf(msg)); err != nil {
		add("value", "%s", err)
	} else if err := t.DryRun(in); err != nil {
		add("value", "%s", err)
	}
	if c := msg.GetCheck(); c != "" && !strings.HasPrefix(c, "/") {
		add("check", "%q is not a path, such as /current", c)
	}
	class, wrong := classOf(msg)
	if wrong != "" {
		add("repeat", "%s", wrong)
	}
	return actuators.Planned{Object: fsm.ObjectID(string(in.Target) + "/" + object), Class: class}, problems
}

// classOf is the class that the user's word makes, or what is wrong with it.
func classOf(msg *pb.HttpStep) (fsm.Class, string) {
	check := msg.GetCheck() != ""
	switch msg.GetRepeat() {
	case pb.Repeat_REPEAT_UNSPECIFIED, pb.Repeat_REPEAT_KEYED:
		return fsm.Keyed, ""
	case pb.Repeat_REPEAT_READABLE:
		if !check {
			return fsm.Readable, "readable needs a check"
		}
		return fsm.Readable, ""
	case pb.Repeat_REPEAT_BLIND:
		if check {
			return fsm.Blind, "the check would tell: say readable, or leave it out"
		}
		return fsm.Blind, ""
	}
	return fsm.Blind, fmt.Sprintf("unknown word %d", msg.GetRepeat())
}

func valueOf(msg *pb.HttpStep) string {
	if msg.GetValue() == "" {
		return "{{.New}}"
	}
	return msg.GetValue()
}

// wanted is an action's value.
type wanted struct {
	Value string      `json:"value"`
	From  fsm.Address `json:"from"`
	To    fsm.Address `json:"to"`
	Zone  string      `json:"zone"`
	Epoch fsm.Epoch   `json:"epoch"`
}

// Render implements actuators.Kind.
func (k *Kind) Render(step fsm.Step, facts actuators.Facts) (fsm.Value, error) {
	msg, err := paramsOf(step)
	if err != nil {
		return fsm.Value{}, actuators.Permanent(err)
	}
	t, err := actuators.ParseTemplate(valueOf(msg))
	if err != nil {
		return fsm.Value{}, actuators.Permanent(fmt.Errorf("parse value of step %s: %w", step.Name, err))
	}
	v := wanted{From: facts.From, To: facts.To, Zone: facts.Zone, Epoch: facts.Epoch}
	if v.Value, err = t.Execute(facts); err != nil {
		return fsm.Value{}, actuators.Permanent(fmt.Errorf("render value of step %s: %w", step.Name, err))
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fsm.Value{}, actuators.Permanent(fmt.Errorf("render value of step %s: %w", step.Name, err))
	}
	return fsm.Value{Step: step.Name, Value: raw, Wanted: fmt.Sprintf("%s told %s", step.Target, wire.Cut(v.Value, MaxShown))}, nil
}

func paramsOf(step fsm.Step) (*pb.HttpStep, error) {
	var msg pb.HttpStep
	if err := proto.Unmarshal(step.Params, &msg); err != nil {
		return nil, fmt.Errorf("read step %s: %w", step.Name, err)
	}
	return &msg, nil
}

func wantedOf(a fsm.Action) (wanted, error) {
	var v wanted
	if err := json.Unmarshal(a.Value, &v); err != nil || v.To == "" {
		return v, fmt.Errorf("action %s: %w", a.ID, ErrValue)
	}
	return v, nil
}

// Open implements actuators.Kind. The actuator has a Close, for idle connections.
func (k *Kind) Open(target fsm.TargetSpec, budget actuators.Budget) (actuators.Actuator, error) {
	var msg pb.HttpTarget
	if err := proto.Unmarshal(target.Params, &msg); err != nil {
		return nil, fmt.Errorf("read target %s: %w", target.ID, err)
	}
	allowed, bad := prefixes(msg.GetAllow())
	if bad >= 0 {
		return nil, fmt.Errorf("target %s: allow[%d] is not a network", target.ID, bad)
	}
	secret, err := wire.Secret(msg.GetSecret(), k.config.Getenv)
	if err != nil {
		return nil, fmt.Errorf("target %s: secret: %w", target.ID, err)
	}
	if len(secret) < MinSecret {
		return nil, fmt.Errorf("target %s: %s has %d bytes, want %d: %w", target.ID, msg.GetSecret(), len(secret), MinSecret, ErrSecret)
	}
	trust, err := k.authorities(msg.GetCa())
	if err != nil {
		return nil, fmt.Errorf("target %s: ca: %w", target.ID, err)
	}
	s := signer{secret: []byte(secret), now: k.config.Now}
	dial := k.config.Dial
	if dial == nil {
		dial = guard{allowed}.dialer()
	}
	conf := wire.Config{
		Base: strings.TrimSuffix(msg.GetUrl(), "/"), Dial: dial, Direct: true, TLS: trust, Budget: budget, Secrets: []string{secret}, Sign: s.sign, ID: requestID,
	}
	if msg.GetRedirects() {
		conf.Follow = follows
	}
	return &actuator{client: wire.New(conf), now: k.config.Now}, nil
}

func (k *Kind) authorities(reference string) (*tls.Config, error) {
	if reference == "" {
		return nil, nil //nolint:nilnil // nil means the machine's own
	}
	text, err := wire.Secret(reference, k.config.Getenv)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(text)) {
		return nil, fmt.Errorf("%s: %w", reference, ErrAuthority)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// requestID is what the endpoint calls its answer, in one of the usual headers.
func requestID(h http.Header) string {
	for _, name := range []string{"X-Request-Id", "Request-Id", "X-Correlation-Id", "X-Amzn-Requestid", "Cf-Ray"} {
		if id := h.Get(name); id != "" {
			return wire.Cut(id, 128)
		}
	}
	return ""
}
