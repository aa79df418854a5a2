package haproxy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pointsman/pointsman/actuators"
)

var (
	_ actuators.Prober  = (*actuator)(nil)
	_ actuators.Checker = (*actuator)(nil)
)

// admin is the level that "set server" takes.
const admin = "admin"

// Probe implements actuators.Prober.
func (a *actuator) Probe(ctx context.Context) error {
	text, err := a.ask(ctx, "show info", false)
	if err == nil && pidOf(text) == "" {
		err = fmt.Errorf("show info: %w", strange(text))
	}
	return err
}

// Check implements actuators.Checker: the level of the socket, which any level
// may ask for. That backend and server exist is what Read tells.
func (a *actuator) Check(ctx context.Context, _ actuators.Subject) ([]string, error) {
	text, err := a.ask(ctx, "show cli level; show info", false)
	switch {
	case err != nil:
		return nil, err
	case pidOf(text) == "":
		return nil, fmt.Errorf("show cli level: %w", strange(text))
	}
	for line := range strings.Lines(text) {
		if level := strings.TrimSpace(line); level != admin && slices.Contains([]string{"operator", "user"}, level) {
			return []string{fmt.Sprintf("level %s (the level of the socket at %s is %s)", admin, a.address, level)}, nil
		}
	}
	return nil, nil // admin, or a HAProxy that cannot tell
}
