package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/test/clouds/redis"
)

// patience bounds what a script waits for.
const patience = 20 * time.Second

// ports names reserved ports in the environment. The script binds them a moment
// later.
func ports(env *testscript.Env, names ...string) error {
	p, err := redis.ReservePorts(len(names))
	if err != nil {
		return err
	}
	env.Defer(p.Release)
	for i, name := range names {
		env.Setenv(name, fmt.Sprintf("127.0.0.1:%d", p.Numbers[i]))
	}
	return nil
}

type command = func(ts *testscript.TestScript, neg bool, args []string)

// scriptCommands are the words that scripts have beside the usual ones.
func scriptCommands() map[string]command {
	return map[string]command{
		"cluster":    startCluster,                   // cluster N: N nodes over one log, n1 leads
		"leader":     onTape((*tape).scriptLeader),   // leader NODE|none
		"down":       onTape((*tape).scriptDown),     // down NODE: it answers nothing
		"corrupt":    onTape((*tape).scriptCorrupt),  // corrupt NODE state|disk|hash|none
		"seed":       onTape((*tape).scriptSeed),     // seed MASTER ADDRESS: first view, and the Sentinels agree
		"failover":   onTape((*tape).scriptFailover), // failover MASTER ADDRESS [PROMOTED-BEFORE]
		"settle":     onTape((*tape).scriptSettle),   // settle ACTION done|pending|stuck REASON [REQUEST-ID...]
		"claim":      onTape((*tape).scriptClaim),    // claim ACTION
		"sees":       onTape((*tape).scriptSees),     // sees all|unseen REDIS|link REDIS WORD|silent SENTINEL|splits SENTINEL ADDRESS
		"drift":      onTape((*tape).scriptDrift),    // drift ACTION none|WORDS: its object was found other than it was left
		"look":       onTape((*tape).scriptLook),     // look ACTION SHOWS ADDRESS|- VERDICT [WORDS]: at the object of an observed action
		"lost":       onTape((*tape).scriptLost),     // lost NODE... : these do not reach the target
		"amiss":      onTape((*tape).scriptAmiss),    // amiss WORDS...: what a look at the targets finds wrong; none without words
		"hints":      onTape((*tape).scriptHints),    // hints WORDS: what the nodes were told last
		"object":     onTape((*tape).scriptObject),   // object REASON DETAIL: switchovers are refused; object none
		"eventually": eventually,                     // eventually FILE WORDS: poll until the file holds them
		"web":        startWeb,                       // web NODE: its HTTP port, as $WEB, for the rest of the script
		"tool":       tools,                          // tool NAME...: of this machine, installed where missing
		"bufcurl":    bufCurl,                        // bufcurl PAGE: runs its lines with the buf of bin/tools
		"request":    request,                        // request NODE METHOD PATH [BODY]: over HTTP
		"sameanswer": sameAnswer,                     // sameanswer FILE FILE: the JSON of two answers
		"shelf":      startShelf,                     // shelf FILE: a folder with webhooks and letters, and the webhook file for it
		"reaches":    reaches,                        // reaches ADDRESS: poll until somebody listens
	}
}

// onTape gives a command the cluster that the script has started.
func onTape(do func(w *tape, args []string) error) command {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		w, ok := ts.Value(tapeKey{}).(*tape)
		if !ok || w.nodes == nil || neg {
			ts.Fatalf("no cluster was started, or ! is not for this command")
		}
		ts.Check(do(w, args))
	}
}

// eventually polls a file, since a watch has no end to wait for.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || neg {
		ts.Fatalf("usage: eventually FILE WORDS")
	}
	var have []byte
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		have, _ = os.ReadFile(ts.MkAbs(args[0]))
		if bytes.Contains(have, []byte(args[1])) {
			return
		}
	}
	ts.Fatalf("%s never held %q:\n%s", args[0], args[1], have)
}

func reaches(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 || neg {
		ts.Fatalf("usage: reaches ADDRESS")
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if c, err := net.DialTimeout("tcp", args[0], time.Second); err == nil {
			ts.Check(c.Close())
			return
		}
	}
	ts.Fatalf("nobody listens at %s", args[0])
}

func need(args []string, least int, usage string) error {
	if len(args) < least {
		return fmt.Errorf("usage: %s", usage)
	}
	return nil
}

func (w *tape) scriptLeader(args []string) error {
	if err := need(args, 1, "leader NODE|none"); err != nil {
		return err
	}
	id := fsm.NodeID(args[0])
	if args[0] == "none" {
		id = ""
	}
	w.setLead(id)
	return nil
}

func (w *tape) scriptAmiss(args []string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.amiss = args
	return nil
}

func (w *tape) scriptDown(args []string) error {
	if err := need(args, 1, "down NODE"); err != nil {
		return err
	}
	w.nodes[fsm.NodeID(args[0])].grpc.Stop()
	return nil
}

func (w *tape) scriptCorrupt(args []string) error {
	if err := need(args, 2, "corrupt NODE state|disk|hash|none"); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nodes[fsm.NodeID(args[0])].salt = args[1]
	return nil
}

func (w *tape) scriptSeed(args []string) error {
	if err := need(args, 2, "seed MASTER ADDRESS"); err != nil {
		return err
	}
	id := fsm.MasterID(args[0])
	return w.observe(fsm.Observe{Master: id, Address: fsm.Address(args[1]), Epoch: 1, As: fsm.Seed})
}

func (w *tape) scriptFailover(args []string) error {
	if err := need(args, 2, "failover MASTER ADDRESS [PROMOTED-BEFORE]"); err != nil {
		return err
	}
	var seen time.Duration
	if len(args) > 2 {
		var err error
		if seen, err = time.ParseDuration(args[2]); err != nil {
			return err
		}
	}
	m, _ := w.now().Master(fsm.MasterID(args[0]))
	return w.observe(fsm.Observe{
		Master: m.ID, Base: m.Number, Address: fsm.Address(args[1]), Epoch: m.Epoch + 1, As: fsm.Advance, Seen: seen,
		Evidence: []string{"10.0.1.10:26379 names " + args[1] + " (seen by n1)", args[1] + " answers ROLE master"},
	})
}

func (w *tape) scriptClaim(args []string) error {
	if err := need(args, 1, "claim ACTION"); err != nil {
		return err
	}
	return w.do(fsm.Claim{Action: fsm.ActionID(args[0]), Term: w.termNow(), Act: 5 * time.Second})
}

func (w *tape) scriptSettle(args []string) error {
	if err := need(args, 2, "settle ACTION done|already|pending|stuck [REASON [REQUEST-ID...]]"); err != nil {
		return err
	}
	a, _ := w.now().Action(fsm.ActionID(args[0]))
	s := fsm.Settle{Action: a.ID, Token: a.Token, To: fsm.Done, Effect: fsm.Changed}
	switch args[1] {
	case "already":
		s.Effect = fsm.Already
	case "pending":
		s.To, s.Effect = fsm.Pending, 0
	case "stuck":
		s.To, s.Effect = fsm.Stuck, 0
	}
	if f, _ := w.now().Failover(a.For); f.Seen > 0 && args[1] != "already" && a.Step.Class != fsm.InLog {
		s.First = 2 * time.Millisecond // who times the promotion times the requests too
	}
	if len(args) > 2 {
		s.Reason, s.Requests = args[2], args[3:]
	}
	if a.Step.Class == fsm.InLog && s.To == fsm.Done {
		wants := struct{ Key, Value string }{}
		if err := json.Unmarshal(a.Value, &wants); err != nil {
			return err
		}
		s.Settings = []fsm.SettingWrite{{Key: wants.Key, Value: wants.Value}}
	}
	return w.do(s)
}

func (w *tape) scriptHints(args []string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := strings.Join(w.hints, " "); got != strings.Join(args, " ") {
		return fmt.Errorf("hints %q, want %q", got, strings.Join(args, " "))
	}
	return nil
}
