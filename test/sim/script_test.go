package sim

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pointsman/pointsman/actuators"
	actcommand "github.com/pointsman/pointsman/actuators/command"
	"github.com/pointsman/pointsman/fsm"
)

// scriptHost is the host, the step and the target of the programs' world.
const scriptHost = "script"

// Programs of a node, which speak to scriptHost in lines.
const (
	scriptAct   = "/opt/act"
	scriptCheck = "/opt/check"
)

// script is somebody's own API that two programs of each node call. Its answer
// is their exit code and their last line.
type script struct {
	keyed   bool // it does nothing for a key that it has seen
	guarded bool // nothing is read back of it, so it refuses by itself what is older than it has

	mu      sync.Mutex
	seen    map[string]bool
	at      map[string]string // by master
	markers map[string]string
	numbers map[string]fsm.Number
	list    []sideWrite
}

func scriptSide(r *rand.Rand, p *plan) *side {
	c := &script{keyed: pick(r, false, true), seen: map[string]bool{}, at: map[string]string{}, markers: map[string]string{}, numbers: map[string]fsm.Number{}}
	for _, m := range p.Masters {
		c.at[m.ID] = m.Candidates[0]
	}
	repeat, check := "readable", ", check: "+scriptCheck
	if c.keyed {
		repeat, check = "keyed", pick(r, "", check)
		c.guarded = check == ""
	}
	return &side{
		name: scriptHost, line: c, close: func() {},
		target: fmt.Sprintf("  %s: {hold: %s, rate: %d, command: {program: %s%s}}\n", scriptHost, p.Hold, p.Rate, scriptAct, check),
		step:   func(int, masterPlan) string { return "command: {repeat: " + repeat + "}" },
		value: func(_ int, m masterPlan) fsm.Address {
			c.mu.Lock()
			defer c.mu.Unlock()
			return fsm.Address(c.at[m.ID])
		},
		writes: func() []sideWrite {
			c.mu.Lock()
			defer c.mu.Unlock()
			return append([]sideWrite(nil), c.list...)
		},
	}
}

// run is what a node's program does: a line to its host, until its time is up.
func (p *process) program(ctx context.Context, r actcommand.Run) (actcommand.Ended, error) {
	if p.dead.Load() {
		return actcommand.Ended{}, errDead
	}
	if r.Started != nil {
		r.Started()
	}
	ended := actcommand.Ended{PID: 4711}
	words := append([]string{"check"}, r.Args...)
	if r.Program == scriptAct {
		words = []string{"act"}
		for _, name := range []string{"KEY", "MASTER", "NUMBER", "NEW", "MARKER"} {
			words = append(words, variable(r.Env, "POINTSMAN_"+name))
		}
	}
	answer, err := p.say(ctx, strings.Join(words, " "))
	code, rest, _ := strings.Cut(answer, " ")
	ended.Output = strings.ReplaceAll(rest, "|", "\n")
	if err == nil {
		ended.Code, err = strconv.Atoi(code)
	}
	switch {
	case ctx.Err() != nil:
		ended.Signal = "killed when its time had run out"
	case err != nil:
		ended.Code, ended.Output = 70, err.Error()
	}
	return ended, nil //nolint:nilerr // a program's failure is its exit code
}

// say sends a line to the programs' world and takes one back.
func (p *process) say(ctx context.Context, line string) (string, error) {
	conn, err := p.end.Dial(ctx, scriptHost+":80")
	if err != nil {
		return "", err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if _, err := io.WriteString(conn, line+"\n"); err != nil {
		return "", err
	}
	text, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(text), err
}

func variable(env []string, name string) string {
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return ""
}

func (c *script) writes(line string) bool { return strings.HasPrefix(line, "act ") }

// excuse: 22 says nothing of whether it was done, nor does 70.
func (c *script) excuse(do sideDeed) string {
	return map[sideDeed]string{sideRefuses: "22 refused\n", sideBusy: "1 busy|POINTSMAN_RETRY_AFTER=1\n", sideFails: "70 it broke\n"}[do]
}

func (c *script) carry(line string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	words := strings.SplitN(line, " ", 6)
	if words[0] == "check" {
		_, code := words[1], 0
		if c.at[words[1]] != net.JoinHostPort(words[2], words[3]) {
			code = 1
		}
		return fmt.Sprintf("%d is at %s %s\n", code, c.at[words[1]], c.markers[words[1]])
	}
	key, master, to := words[1], words[2], words[4]
	if c.keyed && c.seen[key] {
		return "0 seen before\n"
	}
	_, marker, _ := actuators.ParseMarked(words[5])
	if c.guarded && marker.Number < c.numbers[master] {
		return fmt.Sprintf("2 older than %d\n", c.numbers[master])
	}
	c.seen[key], c.numbers[master] = true, marker.Number
	c.list = append(c.list, sideWrite{
		of: fsm.FailoverID{Master: fsm.MasterID(master), Number: marker.Number}, came: time.Now(), effect: time.Now(), before: c.at[master], after: to,
	})
	c.at[master], c.markers[master] = to, words[5]
	return "0 done\n"
}
