package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pointsman/pointsman/cluster/journal"
	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/internal/planted"
	journalv1 "github.com/pointsman/pointsman/proto/journal/v1"
)

// Option changes how a command is proposed.
type Option func(*proposal)

type proposal struct {
	id    fsm.CommandID
	actor string
	node  fsm.NodeID
}

// WithID names the command, so that a caller that repeats it gets the first
// answer, also over a leader change and a restart, for fsm.AnswersKept of log
// clock. Without it each call has its own random id.
func WithID(id fsm.CommandID) Option { return func(p *proposal) { p.id = id } }

// WithActor says for whom the command is proposed; shown to people.
func WithActor(actor string) Option { return func(p *proposal) { p.actor = actor } }

func (n *Node) proposal(opts []Option) proposal {
	p := proposal{id: fsm.CommandID(randomID()), node: n.cfg.NodeID}
	for _, o := range opts {
		o(&p)
	}
	return p
}

// Propose brings a command into the log from any node and returns the log's
// answer once this node has applied it: a read of State that follows sees it.
// It tries again with the same id over leader changes, until ctx ends or this
// node has known no leader for three election times: an election that succeeds
// takes less. It may be called concurrently.
//
// A refusal of the state machine is in the answer (Answer.Err), not in the
// error. Errors: ErrNotForwarded for commands that carry claims, ErrNotReadable,
// ErrTooLarge; ErrNoLeader when it was given up and nothing was written,
// ErrOutcomeUnknown when it was given up and may have been, ErrClosed.
func (n *Node) Propose(ctx context.Context, c fsm.Command, opts ...Option) (fsm.Answer, error) {
	if carriesClaims(c) {
		return fsm.Answer{}, fmt.Errorf("%w: %s", ErrNotForwarded, c.Kind())
	}
	payload, err := journal.EncodeCommand(c)
	if err != nil {
		return fsm.Answer{}, err
	}
	p := n.proposal(opts)
	unknown := false   // an earlier try may be in the log
	var lost time.Time // since when this call has met no leader; zero: it knows one
	for wait := backoff(ctx); ; wait() {
		answer, err := n.tryPropose(ctx, c, payload, p)
		switch {
		case err == nil:
			return answer, nil
		case errors.Is(err, ErrNotReadable), errors.Is(err, ErrTooLarge), errors.Is(err, errInvalid):
			return fsm.Answer{}, fmt.Errorf("propose %s: %w", c.Kind(), err)
		}
		unknown = unknown || errors.Is(err, ErrOutcomeUnknown)
		if n.ctx.Err() != nil {
			return fsm.Answer{}, n.ended()
		}
		if why := n.givenUp(ctx, &lost); why != nil && unknown {
			return fsm.Answer{}, fmt.Errorf("propose %s: %w: %w; to repeat it with the same id is safe", c.Kind(), ErrOutcomeUnknown, why)
		} else if why != nil {
			return fsm.Answer{}, fmt.Errorf("propose %s: %w: nothing was written: %w", c.Kind(), ErrNoLeader, why)
		}
	}
}

// givenUp says why a proposal is not tried again. The caller keeps since when
// it has met no leader.
func (n *Node) givenUp(ctx context.Context, lost *time.Time) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	switch _, leader := n.raft.LeaderWithID(); {
	case leader != "":
		*lost = time.Time{}
	case lost.IsZero():
		*lost = time.Now()
	case time.Since(*lost) >= n.patience():
		return fmt.Errorf("no leader for %s", n.patience())
	}
	return nil
}

// patience is how long a caller waits for an election, or for a leader that
// does not answer: one that succeeds takes less than three heartbeats.
func (n *Node) patience() time.Duration { return 3 * n.cfg.Timings.Election }

// errInvalid is a peer's word that a command can never be taken.
var errInvalid = errors.New("the leader does not take the command")

// backoff returns a wait with full jitter, from 5 ms up to 100 ms: a new
// leader is there within a second, and its callers should not find it together.
func backoff(ctx context.Context) func() {
	limit := 5 * time.Millisecond
	return func() {
		pause(ctx, rand.N(limit)+time.Millisecond)
		limit = min(2*limit, 100*time.Millisecond)
	}
}

// tryPropose hands the command to whoever leads now, once.
func (n *Node) tryPropose(ctx context.Context, c fsm.Command, payload []byte, p proposal) (fsm.Answer, error) {
	if t, _ := n.currentTenure(); t != nil {
		select {
		case <-t.ready:
		case <-t.ctx.Done():
			return fsm.Answer{}, ErrTermOver
		case <-ctx.Done():
			return fsm.Answer{}, context.Cause(ctx)
		}
		answers, err := n.commit(ctx, t, draft{p, c})
		if err != nil {
			return fsm.Answer{}, err
		}
		return answers[0], nil
	}
	_, leader := n.raft.LeaderWithID()
	if leader == "" || fsm.NodeID(leader) == n.cfg.NodeID {
		return fsm.Answer{}, ErrNoLeader
	}
	return n.forward(ctx, fsm.NodeID(leader), c, payload, p)
}

// forward sends the command to the leader and waits until this node, too, has
// applied it: the answer is this node's own.
func (n *Node) forward(ctx context.Context, leader fsm.NodeID, c fsm.Command, payload []byte, p proposal) (fsm.Answer, error) {
	answers, forget := n.machine.expect(p.id)
	defer forget()
	asking, cancel := context.WithTimeout(ctx, min(n.cfg.Timings.RPC, n.patience()))
	defer cancel()
	said, _, sent, err := n.peers.ask(asking, leader, &journalv1.PeerRequest{Question: &journalv1.PeerRequest_Propose{Propose: &journalv1.Propose{
		Kind: uint32(c.Kind()), Id: string(p.id), Actor: p.actor, Payload: payload,
	}}})
	if err != nil && sent {
		return fsm.Answer{}, fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	}
	if err == nil {
		err = errorOf(said)
	}
	if err != nil {
		return fsm.Answer{}, err
	}
	select {
	case a := <-answers:
		return a, nil
	case <-time.After(n.cfg.Timings.RPC): // a snapshot may have jumped over it: ask again
	case <-ctx.Done():
	case <-n.ctx.Done():
	}
	return fsm.Answer{}, ErrOutcomeUnknown
}

// answerPropose proposes for a peer, in this node's own term.
func (n *Node) answerPropose(ctx context.Context, them *journalv1.Hello, q *journalv1.Propose) *journalv1.PeerAnswer {
	c, err := journal.DecodeCommand(q.GetKind(), q.GetPayload())
	if err == nil && carriesClaims(c) {
		err = ErrNotForwarded
	}
	if err != nil {
		return answerOf(0, fmt.Errorf("%w: %w", errInvalid, err))
	}
	t, _ := n.currentTenure()
	if !t.open() {
		return answerOf(0, ErrTermOver)
	}
	p := proposal{id: fsm.CommandID(q.GetId()), actor: q.GetActor(), node: fsm.NodeID(them.GetNode())}
	answers, err := n.commit(ctx, t, draft{p, c})
	if err != nil {
		return answerOf(0, err)
	}
	return answerOf(answers[0].Index, nil)
}

// ProposeAs proposes a command in a term that this node leads and returns the
// log's answer once it is applied here. It is never forwarded. While the term
// lasts it is tried again with one id when raft had no room for it, so an error
// means: the term is over or ending, or ctx ended, or the command can never be
// taken. It may be called concurrently.
//
// Errors: ErrTermOver, nothing was written; ErrOutcomeUnknown, it may be in the
// log or get there; ErrNotReadable and ErrTooLarge.
func (n *Node) ProposeAs(ctx context.Context, term fsm.Term, c fsm.Command) (fsm.Answer, error) {
	claims, settles := c.Kind() == fsm.KindClaim, c.Kind() == fsm.KindSettle
	if claims && planted.Bug(planted.ClaimAnyTerm) || settles && planted.Bug(planted.SettleAnyTerm) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), n.cfg.Timings.Write)
		defer cancel()
		return n.Propose(ctx, c)
	}
	answers, err := n.ProposeAll(ctx, term, c)
	if err != nil {
		return fsm.Answer{}, err
	}
	return answers[0], nil
}

// ProposeInTerm is ProposeAs with options: for whom, and under which id.
func (n *Node) ProposeInTerm(ctx context.Context, term fsm.Term, c fsm.Command, opts ...Option) (fsm.Answer, error) {
	answers, err := n.proposeAll(ctx, term, draft{n.proposal(opts), c})
	if err != nil {
		return fsm.Answer{}, err
	}
	return answers[0], nil
}

// ProposeAll is ProposeAs for several commands, in order. They are sent on one
// after another without waiting, so they cost about one round trip; others'
// commands may come between them. On an error there are no answers, and some of
// the commands may be in the log.
func (n *Node) ProposeAll(ctx context.Context, term fsm.Term, commands ...fsm.Command) ([]fsm.Answer, error) {
	drafts := make([]draft, len(commands))
	for i, c := range commands {
		drafts[i] = draft{n.proposal(nil), c}
	}
	return n.proposeAll(ctx, term, drafts...)
}

func (n *Node) proposeAll(ctx context.Context, term fsm.Term, drafts ...draft) ([]fsm.Answer, error) {
	t, _ := n.currentTenure()
	for wait := backoff(ctx); ; wait() {
		if !t.open() || t.term != term {
			return nil, fmt.Errorf("%w: term %d", ErrTermOver, term)
		}
		answers, err := n.commit(ctx, t, drafts...)
		if err == nil || ctx.Err() != nil || !errors.Is(err, ErrTermOver) || errors.Is(err, ErrOutcomeUnknown) {
			return answers, err
		}
	}
}

type draft struct {
	proposal
	command fsm.Command
}

// commit is the one way into the log.
func (n *Node) commit(ctx context.Context, t *tenure, drafts ...draft) ([]fsm.Answer, error) {
	futures := make([]raft.ApplyFuture, 0, len(drafts))
	var failed error
	for _, d := range drafts {
		data, err := n.encode(t, d)
		if err == nil && (t.ctx.Err() != nil || ctx.Err() != nil) {
			err = ErrTermOver
		}
		if err != nil {
			failed = err
			break
		}
		futures = append(futures, n.raft.Apply(data, enqueueTimeout))
	}
	answers := make([]fsm.Answer, 0, len(futures))
	for _, f := range futures {
		answer, err := n.result(ctx, f)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		answers = append(answers, answer)
	}
	if failed != nil {
		return nil, failed
	}
	return answers, nil
}

func (n *Node) encode(t *tenure, d draft) ([]byte, error) {
	if err := readable(d.command.Kind(), n.machine.state(), n.voters()); err != nil {
		return nil, err
	}
	if err := observable(d.command, n.machine.state(), n.voters()); err != nil {
		return nil, err
	}
	if err := poolable(d.command, n.machine.state(), n.voters()); err != nil {
		return nil, err
	}
	data, err := journal.Encode(fsm.Entry{
		ID: d.id, Term: t.term, Clock: t.clock(), Wall: n.cfg.Faults.wall(), Node: d.node, Actor: d.actor, Command: d.command,
	})
	if errors.Is(err, journal.ErrTooLarge) {
		return nil, fmt.Errorf("%w: %w", ErrTooLarge, err)
	}
	return data, err
}

// result waits for one entry. Raft's error says whether the entry was written;
// its response is the state machine's answer.
func (n *Node) result(ctx context.Context, f raft.ApplyFuture) (fsm.Answer, error) {
	switch err := n.await(ctx, f); {
	case err == nil:
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrEnqueueTimeout), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return fsm.Answer{}, fmt.Errorf("%w: %w", ErrTermOver, err)
	default: // leadership lost, shutdown, a store error, our own deadline
		return fsm.Answer{}, fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	}
	answer, ok := f.Response().(fsm.Answer)
	if !ok {
		return fsm.Answer{}, fmt.Errorf("%w: entry %d was not applied: %v", ErrOutcomeUnknown, f.Index(), f.Response())
	}
	return answer, nil
}

// await waits for a future of raft, which knows no deadline. The goroutine ends
// when raft answers; Close waits for it before raft shuts down, since raft may
// drop what its state machine has not taken by then.
func (n *Node) await(ctx context.Context, f raft.Future) error {
	done := make(chan error, 1)
	if !n.spawn(&n.inflight, func() { done <- f.Error() }) {
		return ErrClosed
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// carriesClaims reports whether a command claims: then only the process that
// will act may propose it, in its own term.
func carriesClaims(c fsm.Command) bool {
	o, ok := c.(fsm.Observe)
	return ok && len(o.Claims) > 0 || c.Kind() == fsm.KindAskSwitchover || c.Kind() == fsm.KindClaim && !planted.Bug(planted.ClaimAnyTerm)
}

func answerOf(index uint64, err error) *journalv1.PeerAnswer {
	a := &journalv1.PeerAnswer{Index: index, Status: journalv1.PeerStatus_PEER_STATUS_OK}
	if err == nil {
		return a
	}
	a.Detail = err.Error()
	switch {
	case errors.Is(err, ErrOutcomeUnknown):
		a.Status = journalv1.PeerStatus_PEER_STATUS_UNKNOWN_OUTCOME
	case errors.Is(err, ErrNotReadable):
		a.Status = journalv1.PeerStatus_PEER_STATUS_NOT_READABLE
	case errors.Is(err, errInvalid), errors.Is(err, ErrTooLarge):
		a.Status = journalv1.PeerStatus_PEER_STATUS_INVALID
	default:
		a.Status = journalv1.PeerStatus_PEER_STATUS_NOT_LEADER
	}
	return a
}

func errorOf(a *journalv1.PeerAnswer) error {
	switch a.GetStatus() {
	case journalv1.PeerStatus_PEER_STATUS_OK:
		return nil
	case journalv1.PeerStatus_PEER_STATUS_NOT_LEADER:
		return fmt.Errorf("%w: %s", ErrTermOver, a.GetDetail())
	case journalv1.PeerStatus_PEER_STATUS_NOT_READABLE:
		return fmt.Errorf("%w: %s", ErrNotReadable, a.GetDetail())
	case journalv1.PeerStatus_PEER_STATUS_INVALID:
		return fmt.Errorf("%w: %s", errInvalid, a.GetDetail())
	default:
		return fmt.Errorf("%w: %s", ErrOutcomeUnknown, a.GetDetail())
	}
}
