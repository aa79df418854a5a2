// Package executor does. While its node leads, it takes each action that the
// log holds to a final state: look, claim, look, act, read back, release,
// settle. It decides nothing that the log should decide, and it acts only
// under a claim that the log has granted to this very process in this term.
//
//	  sighting ──▶ Observe + claims of the first stage          (one entry)
//	                   │
//	pending ─ gates ─▶ claim ─▶ read* ─▶ judge ─┬─ applied ─────────▶ settle done (already)
//	   ▲                                        ├─ staged ──────────▶ settle waiting on a refresh
//	   │                                        ├─ newer, foreign ──▶ settle stuck
//	   │                                        └─ absent ─▶ act ─▶ release ─▶ read back ─▶ settle
//	   └───────────── settle pending, after a backoff with jitter ◀── any error
//	claimed by a dead leader ─▶ read ─ applied ─▶ settle done with its token; else claim anew, as above
//	waiting on a refresh that is done ─▶ read ─▶ settle done, or waiting on the next refresh
//	waiting on a provider's task ─▶ follow ─▶ read ─▶ settle done, or pending; what
//	    nothing can read back waits with its answer, and is done by that
//
//	* a warm-up read of at most WarmFor counts, since nothing of ours wrote meanwhile.
//
// Spans: a claim's requests end within act, counted from before the claim was
// proposed by the larger of the monotonic and the boot clock. Another leader
// that would write another value counts (act + hold) × 1.05 + 1 s from when it
// applied the claim.
//
// Actions of a master that is only observed are never due: they are final. Their
// objects are looked at, and what is seen is told to the log (score.go).
//
// What can go wrong, and why it is safe:
//   - The process dies anywhere: what it proposed is in the log or is not; the
//     next leader reads before it writes (crash points are named in Points).
//   - A request gets no clear answer: the claim is not released, the action is in
//     doubt, and a read decides; nothing is guessed.
//   - The process is paused between its last check and the socket write: no check
//     closes that gap. While the pause is shorter than the window nobody else wrote
//     another value; beyond it only the object can refuse, or a repair mend.
//   - The term ends: every attempt's context ends with it, and Run waits for all.
package executor
