// Package replay puts events that have arrived before into the buffer again: those
// of a span of time, of a shop, a topic, an app.
//
//	in/<stream a>/ ──┐ segments written in the span and a day after
//	in/<stream b>/ ──┼──▶ merged by arrival ──▶ in/replay-.../ under the replay's id
//	in/<stream c>/ ──┘
//
// Each event gets the replay's id, and so a key of its own for the ledger and for
// sinks: a sink that keeps idempotency keys has its effect once more. That is what
// a replay is for. The same id again puts in the same events, of which those that
// are finished are not worked again.
//
// Within a stream the order is kept, over streams it is that of arrival by the
// receivers' clocks, which is best effort as it was the first time. A stream holds
// at most 16 MiB of segments in memory, or one that is larger, and MaxOpen of them
// are read at once.
//
// It must never change or delete what it reads.
package replay
