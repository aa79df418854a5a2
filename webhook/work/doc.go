// Package work hands buffered webhooks to a handler: each one until its
// completion is on record, those of one shop one after another.
//
//	             ┌──────────── one process ─────────────────────────────┐
//	store ─list─▶│ feed ─segments─▶ loop of a partition ─▶ shops' queues │
//	      ◀─read─│   (one for all)   (one per lease)         │ a call at a time
//	             │                        ▲                  ▼          │
//	head ◀commit─│──────── ledger ◀───────┴──── outcome ◀─ handler      │
//	             └──────────────────────────────────────────────────────┘
//
// An event's way through a loop:
//
//	waiting ─▶ called ─▶ done ──────────────────────────▶ finished ─▶ committed
//	  ▲          │  ├──── again: backoff, Retry-After ──▶ waiting
//	  │          │  ├──── pause: the shop waits ────────▶ waiting
//	  │          │  ├──── permanent, or tried too often ▶ dead letter ─▶ finished
//	  │          │  └──── fenced: the lease is given up
//	  └──────────┴─ the lease is lost: nothing is committed, the next holder calls again
//
// A loop owns all that is known of its partition. What it starts (calls of the
// handler, reads, a commit) tells it by a channel what came of it, and the loop
// returns when all of that has.
//
// What can go wrong, and why it is safe:
//   - The process dies after the effect and before the commit: the next holder
//     hands the event out again, under a newer token and the same idempotency key.
//   - The process is paused and wakes: the lease is checked before each call; what
//     it commits is refused for its token, counted, and the lease given up.
//   - The store is away: nothing is read, what is running is finished, and no more
//     than MaxUncommitted completions wait for a commit.
//   - A segment that was not seen is looked for again for a day; one that cannot be
//     decoded for as long as it is there. Neither holds up others.
//   - A shop that fails waits alone, with an eighth of MaxWaiting events; of what
//     comes beyond only the segments are noted, 16 times MaxWaiting in a partition.
//
// It never calls a handler for an event that is on record as finished, never
// has two calls for one shop under way under one token, and never acknowledges
// anything to a shop: that is the receiver's.
package work
