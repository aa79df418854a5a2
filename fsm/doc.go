// Package fsm decides. It holds the state that the log has agreed on and the
// one function, State.Apply, that takes an entry to the next state. It is pure:
// no clock, no I/O, no lock, no goroutine, nothing of ours imported. What a rule
// needs (time, steps, addresses) stands in the command.
//
// An action's life:
//
//	          Claim{token, act, version}        Settle{waiting, checkpoint, refresh?}
//	pending ───────────────────────▶ claimed ───────────────────▶ waiting ──┐ reads only, needs no window
//	 ▲  ▲                             │  │                            │     │ (a provider's task, a refresh)
//	 │  └── Settle{pending, after, ◀──┘  │ Settle{done: changed|already}◀───┘
//	 │          doubt?}                  └──────────────▶ done
//	 │ Retry (human)                  Settle{stuck, reason, doubt?} ──▶ stuck ── Abandon (human, reason) ──▶ abandoned
//	 └───────────────────────────────────────────────────────────────────┘       (also from pending, waiting)
//	every non-final state ── a newer failover of the master is accepted ──▶ superseded
//	observed: where an action of a master that is only observed begins and stays
//
// A waiting action may also settle pending (what was staged is gone) or waiting
// again (another refresh is needed, at most MaxRounds).
//
// An object is busy from a claim on, until the claiming process logs Release
// (every request answered) or somebody names the claim in Claim.Expired or
// Release{Expired} because its window has run out:
//
//	holder:  act          counted from before it proposed
//	others:  (act + hold) × 1.05 + 1 s   counted from when they applied the claim
//
// The state holds no deadline: who counts is the executor, and what it counted
// stands in its command.
//
// A done action's object may be found other than it was left (NoteDrift): that
// stands beside the action, whose entry is final, and is reported or repaired
// by an action of its own, cache/7/lb~1.
//
// An observed action is final from the start, so nothing claims it, whatever the
// spec says later: a change of observe_only counts from the next failover on.
// What successive reads saw of its object (NoteScore) stands beside it.
//
// A partition of a pool, whose leases workers hold:
//
//	         GrantLeases{term}                    MoveLeases{drain}, Observe
//	free ─────────────────────────▶ held ─────────────────────────▶ draining
//	 ▲ ▲                             │ │                             │ │
//	 │ └── release, session closed ◀─┘─│─────────────────────────────┘ │
//	 │                                 └──▶ locked ◀───────────────────┘ revoke, lapse,
//	 └── MoveLeases{unlock | release} ◀──────┘                           session expired or revoked
//
// Each grant has the token of its entry, and no partition goes from one session to
// another but over free. Observe suspends the pools of its master in its own entry
// (what is held drains, or is locked at once), and nothing is granted until the
// in-log step of that very failover is done or abandoned: then every grant is for
// the new address. Who counts a ttl, a drain time or a lock is the leader (package
// leases); what it counted stands in its command, which names its term.
//
// Beside a partition stands its checkpoint (SaveCheckpoint): version and data that
// only the session that has it changes, under its token, from version n to n + 1.
// Whoever is granted it next finds what the last holder saved; what that one has
// still on the wire is refused from then on.
//
// What can go wrong, and why it is safe:
//   - A deposed leader says that a ttl ran out: another term, refused (ErrTerm).
//   - A worker that was paused releases, or somebody asks for it, with the token of a
//     former grant: refused (ErrFenced). So is its checkpoint.
//   - A claim is delayed over an election: its term is not its entry's, refused (ErrTerm).
//   - A deposed leader settles late: its token is not the current one, refused (ErrNotHolder);
//     if nobody claimed meanwhile, its word is true and counts.
//   - Two coordinators report one switch: the second finds another base (ErrBase).
//   - A leader dies between claim and answer: the action stays claimed; the next leader
//     inspects, then settles from the read or claims again. The object stays busy for other values.
//   - A command is proposed twice: the same id gets the first answer, for AnswersKept of log clock.
//   - A refused entry changes nothing but index, term, clock and the remembered answer.
package fsm
