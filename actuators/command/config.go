package command

import (
	"context"
	"errors"
	"os"
	"time"
)

// Name is the kind's name in the spec.
const Name = "command"

// Bounds.
const (
	// MaxOutput is how much of the end of a run's output is kept, in bytes.
	MaxOutput = 8 << 10
	// MaxShown is how much of that is shown, in bytes.
	MaxShown = 300
	// MaxRetryAfter bounds the delay that a program may ask for.
	MaxRetryAfter = 10 * time.Minute
	// CheckTimeout bounds one run of a check.
	CheckTimeout = 5 * time.Second
	// outputDelay is how long the output of a program that has ended is waited
	// for, should something that it left behind hold it open.
	outputDelay = 200 * time.Millisecond
)

// Errors.
var (
	// ErrProgram is returned for a file that may not be run.
	ErrProgram = errors.New("program may not be run")
	// ErrNotDue is returned by Act when what was seen does not call for a run.
	ErrNotDue = errors.New("no run is due")
	// ErrValue is returned when an action's value cannot be read.
	ErrValue = errors.New("value not understood")
	// ErrExit is returned when a run ended with anything but success.
	ErrExit = errors.New("program was not successful")
)

// Run is one run of a program.
type Run struct {
	Program   string
	Args, Env []string
	Started   func() // called when it is about to start; nil: nobody asks
}

// Ended is how a run ended.
type Ended struct {
	PID    int
	Code   int    // of the exit; meaningless with Signal
	Signal string // that ended it, or why it was ended; empty: it ended by itself
	Output string // the end of what it wrote, at most MaxOutput bytes
	Cut    bool   // there was more before Output
}

// Config is what a Kind may be made with. The zero Config is what a server uses.
type Config struct {
	Getenv func(string) string // nil: os.Getenv
	// Run runs a program until it or ctx ends; nil: a process of its own. The
	// error means that nothing was started; one of ErrProgram lasts.
	Run func(ctx context.Context, r Run) (Ended, error)
	// May says why a file may not be run; nil: it is looked at.
	May func(program string) error
}

func (c Config) withDefaults() Config {
	if c.Getenv == nil {
		c.Getenv = os.Getenv
	}
	if c.Run == nil {
		c.Run = process
	}
	if c.May == nil {
		c.May = mayRun
	}
	return c
}
