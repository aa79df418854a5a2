package actuators

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"text/template"
	"text/template/parse"

	"github.com/pointsman/pointsman/fsm"
)

// MaxTemplate bounds a template, in bytes.
const MaxTemplate = 4096

// Errors of templates.
var (
	// ErrLoop is returned for a template with range, template, block or define.
	ErrLoop = errors.New("only text, fields, functions, if and with are allowed")
	// ErrEmpty is returned for a template without any text.
	ErrEmpty = errors.New("a value is needed")
	// ErrTooLong is returned when a template or what it gives exceeds its bound.
	ErrTooLong = errors.New("too long")
)

// Fields is what a template sees.
type Fields struct {
	New, NewHost, NewPort string // address of the new master
	Old, OldHost, OldPort string // address of the master before
	Zone                  string // of the new master
	Master                string // its id, "cache"
	Number                uint64 // of the failover, 7
	Failover              string // "cache/7"
	Epoch                 uint64 // Sentinel's config-epoch
}

func fields(f Facts) Fields {
	newHost, newPort := split(f.To)
	oldHost, oldPort := split(f.From)
	return Fields{
		New: string(f.To), NewHost: newHost, NewPort: newPort,
		Old: string(f.From), OldHost: oldHost, OldPort: oldPort,
		Zone: f.Zone, Master: string(f.Failover.Master), Number: uint64(f.Failover.Number),
		Failover: f.Failover.String(), Epoch: uint64(f.Epoch),
	}
}

func split(a fsm.Address) (host, port string) {
	host, port, err := net.SplitHostPort(string(a))
	if err != nil {
		return string(a), ""
	}
	return host, port
}

// Template is a value that a failover fills in. It is immutable and may be used
// concurrently.
type Template struct{ t *template.Template }

// ParseTemplate parses a template and refuses what could take long: ErrEmpty,
// ErrTooLong, ErrLoop, or what text/template says of its syntax. A field that
// does not exist is found by Execute; see DryRun.
func ParseTemplate(source string) (*Template, error) {
	if source == "" {
		return nil, ErrEmpty
	}
	if len(source) > MaxTemplate {
		return nil, fmt.Errorf("template of %d bytes (at most %d): %w", len(source), MaxTemplate, ErrTooLong)
	}
	t, err := template.New("value").Option("missingkey=error").Parse(source)
	if err != nil {
		return nil, err
	}
	if len(t.Templates()) > 1 {
		return nil, ErrLoop
	}
	if err := plain(t.Root); err != nil {
		return nil, err
	}
	return &Template{t}, nil
}

// Execute fills in the facts of one failover. It returns ErrTooLong for more
// than fsm.MaxValueBytes, and an error for a field that does not exist.
func (t *Template) Execute(f Facts) (string, error) {
	var out bounded
	if err := t.t.Execute(&out, fields(f)); err != nil {
		return "", err
	}
	return out.String(), nil
}

// DryRun finds what a failover of a step's master would meet, from any candidate
// to any other.
func (t *Template) DryRun(in StepInput) error {
	tried := in.Candidates
	if len(tried) == 0 {
		tried = []fsm.Candidate{{Address: "192.0.2.1:6379", Zone: "zone"}}
	}
	for _, from := range tried {
		for _, to := range tried {
			f := Facts{
				Failover: fsm.FailoverID{Master: in.Master, Number: 1}, From: from.Address, To: to.Address, Epoch: 1, Zone: to.Zone,
			}
			if _, err := t.Execute(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// bounded refuses more than a setting's value may hold.
type bounded struct{ strings.Builder }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > fsm.MaxValueBytes {
		return 0, fmt.Errorf("value of more than %d bytes: %w", fsm.MaxValueBytes, ErrTooLong)
	}
	return b.Builder.Write(p)
}

// plain refuses nodes whose work is not bounded by the template's own length.
func plain(list *parse.ListNode) error {
	if list == nil {
		return nil
	}
	for _, n := range list.Nodes {
		var inner []*parse.ListNode
		switch n := n.(type) {
		case *parse.TextNode, *parse.ActionNode, *parse.CommentNode:
		case *parse.IfNode:
			inner = []*parse.ListNode{n.List, n.ElseList}
		case *parse.WithNode:
			inner = []*parse.ListNode{n.List, n.ElseList}
		default:
			return fmt.Errorf("%s: %w", n, ErrLoop)
		}
		for _, l := range inner {
			if err := plain(l); err != nil {
				return err
			}
		}
	}
	return nil
}
