// Package leases is a worker's side of a pool: it opens a session, renews it,
// and calls a handler for each partition that the session is granted, for as
// long as this process may believe in the grant.
//
//	          granted                told to finish            handler returned
//	(nothing) ───────▶ handler runs ────────────────▶ draining ────────────────▶ released
//	                     │                              │                           ▲
//	                     └────────── lost ──────────────┘                           │
//	                     ctx ends, Check refuses ───── handler returned ────────────┘
//
// A grant is believed in for
//
//	min(what the answer says, ttl) × 0.9 − margin
//
// counted from before the renewal was sent that the answer is to, by the larger
// of the monotonic clock and CLOCK_BOOTTIME: an answer that was long on the wire
// gains nothing, and a machine that was suspended finds its leases lost when it
// wakes. The coordinator counts longer, from when it confirmed the renewal, and
// grants nobody else before.
//
// What can go wrong, and why it is safe:
//   - No answers come (quorum lost, network cut, a half-open stream): each lease
//     is lost when its time is over, and its handler's context ends.
//   - The leader changes: the stream breaks, another goes to the new leader, which
//     gives every lease its whole ttl; handlers notice nothing.
//   - A lease was lost by the clock and an answer prolongs it later: too late, it
//     stays lost; it is released when its handler has returned, and granted anew
//     under a higher token.
//   - This process is stopped and woken: Check refuses at once. What a handler had
//     already sent is on its way: only a sink that compares tokens refuses that.
//   - A handler ignores its context: its partition is not released before it
//     returns, and nothing else starts on it here.
//   - An answer names a partition that was given back meanwhile: a token is never
//     handled twice.
//   - The session has ended: all leases are lost, and another session is opened.
//
// Where no sink can compare tokens, a lease's checkpoint says what counts:
// Lease.SaveCheckpoint keeps a version and a few bytes in the log of the cluster,
// which takes them under the current token only.
//
// A token says who may write, if the sink compares it: see redissink for Redis.
package leases
