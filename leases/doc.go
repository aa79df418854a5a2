// Package leases keeps count of the workers that share pools: on the leader, for
// as long as its term lasts. Who holds what stands in the log (package fsm); here
// is what no entry can hold: who has been heard of, and since when.
//
//	worker ─▶ Renew ─▶ queue ─▶ one barrier for all that wait ─▶ judged by the state after it ─▶ answers
//	                                                                 │
//	                              heard[session] = now ◀─────────────┘
//	     state changed, or 200 ms ─▶ what is due?  ─▶ CloseSessions{expired}, MoveLeases{lapse | unlock | drain}, GrantLeases
//
// Who counts what, so that no two workers work on one partition at a time while
// clock rates differ by a tenth, or by a fifth on both sides where lock_delay is a
// third of the ttl or more:
//
//	worker       valid_for × 0.9 less a margin, from before it sent the renewal
//	session      ends    ttl × 1.02 + grace after the barrier that confirmed it last; one whose
//	                     renewal waits for a barrier has been heard of
//	draining     locks   max(drain, ttl) + ttl × 0.02 + grace after this leader first saw it:
//	                     meanwhile no answer promises more than the rest of the drain time
//	locked       is free lock_delay after that, and ttl × 1.02 + grace later when it was
//	                     revoked from a worker that may not know yet
//
// The ttl is that of the session, fixed when it was opened; drain time and lock
// delay are those of the moment when it began to drain, or was locked: a spec that
// says less counts for what comes later. So a partition whose worker never releases
// it is another's within max(drain, ttl) + lock_delay and the small margins above.
//
// Nothing is given to a worker that has not renewed yet, is quiet for 0.4 ttl, says
// that it is leaving, or has a clock of its own. A new leader waits as long for the
// workers that were there before it.
//
// A renewal writes nothing to the log. All spans count on the leader's monotonic
// clock; a new leader counts each of them anew, from its own barrier.
//
// What can go wrong, and why it is safe:
//   - A leader is paused and wakes: its barrier is refused in any later term (Confirm
//     names the term), so it confirms nothing; an answer that was on its way had its
//     barrier before that of the next leader, which counts from its own.
//   - Quorum is lost: no barrier, no answer; each worker stops by its own clock.
//   - A worker is paused and wakes: its renewal is judged by the state: refused, with
//     the token that fences it. What it sends to a sink meanwhile only the sink can
//     refuse, by the token.
//   - The cluster is restored from a snapshot: no session is left, and every partition
//     is locked (fsm.State.Restored), for a ttl at least.
//   - The holder of a draining partition dies, never answers or never releases: the
//     session ends or the drain time does; either way it locks, and is free.
//   - A stranger renews or releases for another: the key does not match, refused.
package leases
