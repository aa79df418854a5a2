package fault

import (
	"fmt"
	"io"
	"strings"
)

// Code is the exit code of the program.
type Code int

// The exit codes.
const (
	OK        Code = 0
	Failed    Code = 1
	Usage     Code = 2
	Unhealthy Code = 3
	Warnings  Code = 4
	TryLater  Code = 5
)

// Error is an error as the user sees it. Each part is one sentence or a few
// lines; What may be empty when the command has printed everything itself.
type Error struct {
	Code Code
	What string // what happened, lower case
	Why  string // the cause, as far as it is known
	Next string // what to type or look at now
	Err  error  // the cause for errors.Is; may be nil
}

func (e *Error) Error() string {
	if e.Why == "" {
		return e.What
	}
	return e.What + ": " + e.Why
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Print writes the parts that are set. It never prints a stack.
func (e *Error) Print(w io.Writer) {
	if e.What == "" {
		return
	}
	fmt.Fprintf(w, "error: %s\n", e.What)
	part(w, "why", e.Why)
	part(w, "try", e.Next)
}

func part(w io.Writer, label, text string) {
	if text == "" {
		return
	}
	text = strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n       ")
	fmt.Fprintf(w, "  %s: %s\n", label, text)
}

// Quiet ends the program with a code and says nothing more: the command's
// output is the message.
func Quiet(code Code) error {
	if code == OK {
		return nil
	}
	return &Error{Code: code}
}

// Wrong is a mistake on the command line.
func Wrong(what, next string) error {
	return &Error{Code: Usage, What: what, Next: next}
}

// At says what the program was at when err came up, such as "apply spec.yaml".
func At(doing string, err error) error {
	if err == nil {
		return nil
	}
	return &atError{doing: doing, err: err}
}

// About is At for a call that names one thing: when there is no such thing,
// list is the command that shows what there is.
func About(doing, list string, err error) error {
	if err == nil {
		return nil
	}
	return &atError{doing: doing, list: list, err: err}
}

type atError struct {
	doing string
	list  string
	err   error
}

func (e *atError) Error() string { return e.doing + ": " + e.err.Error() }
func (e *atError) Unwrap() error { return e.err }
