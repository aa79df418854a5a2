package main

import (
	"context"
	"errors"

	"github.com/pointsman/pointsman/fsm"
)

var errTermOver = errors.New("the term is over")

// beginTerm counts leases from now on, as a leader does.
func (n *node) beginTerm(term fsm.Term) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = n.leases.Run(ctx, term) // it ends with the term
	}()
	n.over = func() { cancel(); <-done }
}

func (n *node) endTerm() {
	if n.over != nil {
		n.over()
	}
	n.over = nil
}

// Confirm implements leases.Journal.
func (n *node) Confirm(ctx context.Context, term fsm.Term) (fsm.State, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.lead != n.id || n.term != term {
		return fsm.State{}, errTermOver
	}
	return n.state, ctx.Err()
}

// ProposeAll implements leases.Journal.
func (n *node) ProposeAll(ctx context.Context, term fsm.Term, commands ...fsm.Command) ([]fsm.Answer, error) {
	if _, err := n.Confirm(ctx, term); err != nil {
		return nil, err
	}
	var answers []fsm.Answer
	for _, c := range commands {
		answers = append(answers, n.apply(c, "", "leases"))
	}
	return answers, nil
}
