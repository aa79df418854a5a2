// Package ledger keeps what is known of one partition of webhooks: which events
// are finished, and how far each stream was followed. It is held under the token
// of a lease, and whoever comes with a newer token ends it for all older ones.
//
//	Open(token) ── takes the head over ──▶ Seen, Finish, Follow ──▶ Commit ──▶ ...
//	                                            │ (in memory)          │
//	   a newer token has taken it over ─────────┴──────────────────────┴──▶ ErrFenced
//
// All that is staged between two commits becomes durable in one write of the
// partition's head, or none of it does. Two ways say which head is current:
//
//   - CAS: the head is one object, replaced by compare-and-swap. Opening swaps
//     the token in, so a write that an older holder still has on the wire meets
//     another tag and is refused by the store.
//   - Log: each head is an object of its own, never written twice, and the
//     checkpoint of the lease in the coordinators' log says which one counts. The
//     log refuses checkpoints under an older token. The store needs no conditions.
//
// Once a partition was committed through the log, it stays with the log.
//
// The head itself holds the last thousand finished events; older ones stand in
// files that are written once, sorted, merged when there are many, and dropped
// when they are older than Config.Keep by the store's own clock. An event is 25
// bytes there and in memory.
package ledger
