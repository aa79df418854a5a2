package httpcall

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
	"github.com/pointsman/pointsman/fsm"
)

// actuator posts to one endpoint. It has no state.
type actuator struct {
	client *wire.Client
	now    func() time.Time
}

var _ actuators.Actuator = (*actuator)(nil)

// Close drops idle connections. The actuator stays usable.
func (a *actuator) Close() error { return a.client.Close() }

// signer proves whose request it is.
type signer struct {
	secret []byte
	now    func() time.Time
}

func (s signer) sign(_ context.Context, r *http.Request, body []byte) error {
	stamp := strconv.FormatInt(s.now().Unix(), 10)
	mac := hmac.New(sha256.New, s.secret)
	fmt.Fprintf(mac, "%s.%s.%s", stamp, r.Header.Get(HeaderToken), body)
	r.Header.Set(HeaderTimestamp, stamp)
	r.Header.Set(HeaderSignature, "v1="+hex.EncodeToString(mac.Sum(nil)))
	return nil
}

// place is an address in an event.
type place struct {
	Address fsm.Address `json:"address"`
	Host    string      `json:"host"`
	Port    string      `json:"port"`
}

func placeOf(a fsm.Address) place {
	host, port, err := net.SplitHostPort(string(a))
	if err != nil {
		return place{Address: a, Host: string(a)}
	}
	return place{Address: a, Host: host, Port: port}
}

// event is the body. Nothing in it differs between two tries of one action.
type event struct {
	Version  int          `json:"version"`
	Type     string       `json:"type"`
	Cluster  string       `json:"cluster"`
	Action   fsm.ActionID `json:"action"`
	Failover string       `json:"failover"`
	Master   fsm.MasterID `json:"master"`
	Number   uint64       `json:"number"`
	Epoch    uint64       `json:"epoch"`
	Marker   string       `json:"marker"`
	Zone     string       `json:"zone"`
	Old      place        `json:"old"`
	New      place        `json:"new"`
	Value    string       `json:"value"`
}

func eventOf(w actuators.Work, want wanted) event {
	act := w.Action
	return event{
		Version: Version, Type: "failover", Cluster: string(w.Cluster), Action: act.ID, Failover: act.For.String(), Master: act.For.Master,
		Number: uint64(act.For.Number), Epoch: uint64(want.Epoch), Marker: actuators.MarkerOf(w.Cluster, act.For).String(),
		Zone: want.Zone, Old: placeOf(want.From), New: placeOf(want.To), Value: want.Value,
	}
}

// view is what the check answered.
type view struct {
	value  string
	marker actuators.Marker
	marked bool
}

// unread reports whether nothing can be read back of a step.
func unread(step fsm.Step) bool {
	msg, err := paramsOf(step)
	return err == nil && msg.GetCheck() == ""
}

// Read implements actuators.Actuator: one GET, or nothing without a check.
func (a *actuator) Read(ctx context.Context, s actuators.Subject) (actuators.Reading, error) {
	r := actuators.Reading{At: time.Now()}
	if ctx.Err() != nil {
		return r, fmt.Errorf("read %s: not sent: %w", s.Step.Object, context.Cause(ctx))
	}
	msg, err := paramsOf(s.Step)
	if err != nil {
		return r, actuators.Permanent(err)
	}
	if msg.GetCheck() == "" {
		return r, nil
	}
	answer, err := a.send(ctx, wire.Call{Method: http.MethodGet, Path: msg.GetCheck()})
	if err == nil {
		r.Requests = answer.IDs()
		r.Body, err = a.parse(answer)
	}
	if err != nil {
		e := actuators.Explain(fmt.Errorf("read %s: %w", s.Step.Object, err))
		return r, &e
	}
	return r, nil
}

// parse reads a check's answer: JSON with value and marker, or the value as text.
func (a *actuator) parse(answer *wire.Answer) (*view, error) {
	if answer.Broken != nil {
		return nil, &actuators.Error{Err: fmt.Errorf("check: %w: %w", wire.ErrAnswer, answer.Broken), Requests: answer.IDs()}
	}
	switch kind := media(answer); kind {
	case "application/json":
		var body struct {
			Value  *string `json:"value"`
			Marker string  `json:"marker"`
		}
		if err := json.Unmarshal(answer.Body, &body); err != nil || body.Value == nil {
			return nil, &actuators.Error{Err: fmt.Errorf("check: no text in field value: %w", wire.ErrAnswer), Requests: answer.IDs()}
		}
		v := &view{value: *body.Value}
		_, v.marker, v.marked = actuators.ParseMarked(body.Marker)
		return v, nil
	case "text/plain":
		return &view{value: strings.TrimSpace(string(answer.Body))}, nil
	default:
		return nil, &actuators.Error{Err: fmt.Errorf("check: %q is neither application/json nor text/plain: %w", a.client.Quote(kind), wire.ErrAnswer), Requests: answer.IDs()}
	}
}

// Judge implements actuators.Actuator.
func (a *actuator) Judge(r actuators.Reading, w actuators.Work) actuators.Sight {
	s := actuators.Sight{Verdict: actuators.Absent, Detail: "nothing tells what the endpoint knows", Reading: r}
	want, err := wantedOf(w.Action)
	v, read := r.Body.(*view)
	none := unread(w.Action.Step)
	switch {
	case err != nil:
		s.Verdict, s.Detail = actuators.Foreign, err.Error()
	case none && actuators.Answered(w.Action): // its answer stands in the log
		s.Verdict = actuators.Applied
	case none:
	case !read:
		s.Verdict, s.Detail, s.After = actuators.Busy, "not read yet", time.Second
	default:
		s.Verdict = actuators.Standing{Match: v.value == want.Value, Marked: v.marked, Marker: v.marker}.Verdict(w)
		s.Detail = fmt.Sprintf("the check answers %q", a.client.Quote(v.value))
		if v.marked {
			s.Detail += " " + v.marker.String()
		}
	}
	return s
}

// Compare implements actuators.Comparer.
func (a *actuator) Compare(r actuators.Reading, action fsm.Action) actuators.Shown {
	v, ok := r.Body.(*view)
	want, err := wantedOf(action)
	if !ok || err != nil || unread(action.Step) {
		return 0
	}
	return actuators.ShownIf(v.value == want.Value)
}

// Act implements actuators.Actuator.
func (a *actuator) Act(ctx context.Context, w actuators.Work, seen actuators.Sight) (actuators.Outcome, error) {
	out, err := a.post(ctx, w, seen)
	if err != nil {
		e := actuators.Explain(fmt.Errorf("act on %s: %w", w.Action.Step.Object, err))
		return actuators.Outcome{}, &e
	}
	return out, nil
}

func (a *actuator) post(ctx context.Context, w actuators.Work, seen actuators.Sight) (out actuators.Outcome, err error) {
	want, err := wantedOf(w.Action)
	if err != nil {
		return out, actuators.Permanent(err)
	}
	switch now := a.Judge(seen.Reading, w); now.Verdict {
	case actuators.Absent:
	case actuators.Foreign, actuators.Newer:
		return out, actuators.Permanent(fmt.Errorf("%s, %s: %w", now.Verdict, now.Detail, ErrNotDue))
	default:
		return out, fmt.Errorf("%s, %s: %w", now.Verdict, now.Detail, ErrNotDue)
	}
	header := http.Header{}
	header.Set(HeaderKey, string(w.Cluster)+"/"+string(w.Action.ID))
	header.Set(HeaderToken, strconv.FormatUint(uint64(w.Action.Token), 10))
	answer, err := a.send(ctx, wire.Call{Method: http.MethodPost, Header: header, Body: eventOf(w, want)})
	if err != nil {
		return out, err
	}
	if err := a.contradiction(answer); err != nil {
		return out, err
	}
	if out.Requests = answer.IDs(); len(out.Requests) == 0 {
		out.Requests = []string{strconv.Itoa(answer.Status)} // the endpoint names none
	}
	if unread(w.Action.Step) && w.Action.Step.Class == fsm.Keyed { // its answer is all there is to see: keep it in the log
		out.Waiting, out.Checkpoint = true, []byte(strconv.Itoa(answer.Status))
	}
	return out, nil
}

// send gives an answer of success, or says by its error what there was.
func (a *actuator) send(ctx context.Context, call wire.Call) (*wire.Answer, error) {
	answer, err := a.client.Send(ctx, call)
	if errors.Is(err, ErrAddress) {
		e := actuators.Explain(err)
		e.Permanent, e.Doubt = true, false // what was answered on the way was a redirect, which carries nothing out
		return nil, &e
	}
	if err != nil {
		return nil, err
	}
	if answer.OK() {
		return answer, nil
	}
	return nil, a.refusal(call, answer)
}

// Follow implements actuators.Actuator: a keyed event without a check waits for
// nothing, its answer stands in the checkpoint.
func (a *actuator) Follow(ctx context.Context, w actuators.Work) (actuators.Progress, error) {
	if ctx.Err() != nil {
		return actuators.Progress{}, context.Cause(ctx)
	}
	if len(w.Action.Checkpoint) == 0 {
		return actuators.Progress{Again: true, Reason: "no answer is known"}, nil
	}
	return actuators.Progress{Done: true, Reason: "the endpoint answered " + wire.Cut(string(w.Action.Checkpoint), 8)}, nil
}
