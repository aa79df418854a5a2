// Package webhook holds the words of the webhook path: what an event is, how it
// is stored, and under which keys.
//
//	shop ──POST──▶ receive ──segment──▶ buffer (dir, s3) ──▶ work ──▶ handler
//	                  │ store down                │             │
//	                  ▼                           │             ├─▶ dead letters
//	                spill (local, fsynced)        │             └─▶ heads: what is finished
//	                  └───────────shipped────────▶┘
//
// A receiver (package receive) answers a shop only when the event can be read
// back: it gathers what arrives within a few milliseconds into a segment and
// writes that as one object under a number of its own stream. A stream belongs
// to one start of one receiver; its numbers have no gaps but for writes that
// never landed, so that who follows it knows what is missing without comparing
// clocks.
//
// Workers (package work) hold partitions by lease, list what is new in each
// stream, and read the segments whose key says that one of their slots is in.
// What is finished stands in the partition's head; a head is replaced by whoever
// holds the partition's token and by nobody else, by compare-and-swap in the
// store or through the coordinators' log (package ledger).
//
// What is counted: every acknowledged event is handed to the handler at least
// once; its completion is recorded once, under the token that was current. A
// handler's own effect happens once only where its sink compares the token or
// keeps the idempotency key.
package webhook
