package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/pointsman/pointsman/fsm"
)

// scriptLook tells the log of a look at the object of an observed action, 250 ms
// after whatever was last.
func (w *tape) scriptLook(args []string) error {
	if err := need(args, 4, "look ACTION wanted|stored|other|unknown|nothing ADDRESS|- VERDICT [WORDS]"); err != nil {
		return err
	}
	l := fsm.Look{Clock: w.now().Clock() + fsm.Clock(250*time.Millisecond), Found: strings.Join(args[4:], " ")}
	for v := fsm.ShowsWanted; v <= fsm.ShowsNothing; v++ {
		if v.String() == args[1] {
			l.Shows = v
		}
	}
	for v := fsm.MeetsAbsent; v <= fsm.MeetsRefusal; v++ {
		if v.String() == args[3] {
			l.Meets = v
		}
	}
	if l.Shows == 0 || l.Meets == 0 {
		return fmt.Errorf("unknown words %q", args[1:4])
	}
	if args[2] != "-" {
		l.At = fsm.Address(args[2])
	}
	return w.do(fsm.NoteScore{Term: w.termNow(), Action: fsm.ActionID(args[0]), Looks: 1, Look: l})
}
