package lab

import (
	"errors"
	"fmt"
	"strings"
)

// Others are what a lab with Options.All has beside OVH and the shop, each told
// by a step of the second stage.
type Others struct {
	Hook   *Hook
	Script *Script
}

// addition is what a provider of the second stage adds to the spec.
type addition struct {
	step, target string // without their indentation
}

// startOthers brings them up in a folder of their own.
func startOthers(dir string) (*Others, error) {
	o := &Others{}
	var err error
	if o.Script, err = newScript(dir); err != nil {
		return nil, fmt.Errorf("write the lab's script: %w", err)
	}
	if o.Hook, err = startHook(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("start the lab's endpoint: %w", err), o.Script.remove())
	}
	return o, nil
}

func (o *Others) close() error { return errors.Join(o.Hook.close(), o.Script.remove()) }

// announce adds a second stage with the providers' steps, and their targets, to
// a spec.
func announce(spec string, list []addition) (string, error) {
	if len(list) == 0 {
		return spec, nil
	}
	var steps, targets strings.Builder
	for _, a := range list {
		fmt.Fprintf(&steps, "          - %s\n", a.step)
		fmt.Fprintf(&targets, "  %s\n", a.target)
	}
	return swap(spec, "\ntargets:\n", "\n      - stage: announce\n        steps:\n"+steps.String()+"\ntargets:\n"+targets.String())
}
