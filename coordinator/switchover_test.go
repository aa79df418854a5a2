package coordinator

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/api"
	"github.com/pointsman/pointsman/cluster"
	"github.com/pointsman/pointsman/executor"
	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/sentinel"
)

// TestSwitchover_LastLook: what is known against a request between its entry and
// its sending.
func TestSwitchover_LastLook(t *testing.T) {
	at := sentinel.Accepted{Known: true, Address: "a:1", Epoch: 7}
	calm := sentinel.View{
		Reports: []sentinel.Report{{Sentinel: "s1", Seen: true, Address: "a:1", Epoch: 7}, {Sentinel: "s2", Seen: true, Address: "x:1", Epoch: 6}},
		Roles:   []sentinel.Role{{Address: "a:1", Role: sentinel.RoleMaster}, {Address: "b:1", Role: sentinel.RoleSlave}},
	}
	with := func(change func(*sentinel.View)) sentinel.View {
		v := calm
		v.Reports, v.Roles = append([]sentinel.Report(nil), calm.Reports...), append([]sentinel.Role(nil), calm.Roles...)
		change(&v)
		return v
	}
	for _, c := range []struct {
		name string
		view sentinel.View
		ago  time.Duration
		want string // a part; empty: it is sent
	}{
		{"calm", calm, time.Second, ""},
		{"old words", calm, saidFor + time.Millisecond, "is 10.001s old"},
		{"votes", with(func(v *sentinel.View) { v.Switching = true }), 0, "votes"},
		{"a newer epoch", with(func(v *sentinel.View) { v.Reports[1].Epoch = 8 }), 0, "s2 named x:1 at epoch 8"},
		{"another at the same epoch", with(func(v *sentinel.View) { v.Reports[1].Epoch = 7 }), 0, "s2 named x:1 at epoch 7"},
		{"promoted, not announced", with(func(v *sentinel.View) { v.Roles[1].Role = sentinel.RoleMaster }), 0, "b:1 answers ROLE master too"},
	} {
		if got := unsettled(c.view, at, c.ago); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestSwitchover_Words: what each end of a request is to the log and to its asker.
func TestSwitchover_Words(t *testing.T) {
	for err, want := range map[error]fsm.SwitchoverPhase{
		nil:                                     fsm.SwitchoverStarted,
		fmt.Errorf("%w: x", sentinel.ErrDenied): fsm.SwitchoverRefused,
		fmt.Errorf("%w: INPROG", sentinel.ErrDeclined):  fsm.SwitchoverRefused,
		sentinel.ErrNotSent:                             fsm.SwitchoverRefused,
		fmt.Errorf("%w: cut", sentinel.ErrUnanswered):   fsm.SwitchoverDoubt,
		sentinel.ErrSent:                                fsm.SwitchoverDoubt,
		errors.New("what nobody has thought of so far"): fsm.SwitchoverDoubt,
	} {
		if got, _ := sent(err); got != want {
			t.Errorf("%v is logged as %s, want %s", err, got, want)
		}
	}
	_, denied := sent(fmt.Errorf("%w: x", sentinel.ErrDenied))
	_, declined := sent(fmt.Errorf("%w: INPROG", sentinel.ErrDeclined))
	for _, c := range []struct {
		w    fsm.Switchover
		want error
	}{
		{fsm.Switchover{Phase: fsm.SwitchoverRefused, Detail: denied}, api.ErrDenied},
		{fsm.Switchover{Phase: fsm.SwitchoverRefused, Detail: declined}, api.ErrDeclined},
		{fsm.Switchover{Phase: fsm.SwitchoverDoubt, Detail: denied}, nil},
		{fsm.Switchover{Phase: fsm.SwitchoverStarted}, nil},
	} {
		if got := outcome(c.w); !errors.Is(got, c.want) {
			t.Errorf("%s %q: %v, want %v", c.w.Phase, c.w.Detail, got, c.want)
		}
	}
	if err := refusal(fmt.Errorf("n2: %w", cluster.ErrNotReadable)); !errors.Is(err, api.ErrOldMember) {
		t.Error(err)
	}
	for _, err := range []error{executor.ErrDraining, cluster.ErrTermOver} { // nothing was logged: it may be repeated
		if e := (*api.NotLeaderError)(nil); !errors.As(refusal(err), &e) {
			t.Errorf("%v becomes %v", err, refusal(err))
		}
	}
	if err := refusal(cluster.ErrOutcomeUnknown); !errors.Is(err, api.ErrOutcomeUnknown) {
		t.Error(err)
	}
}
