// Package receive answers shops: it verifies a delivery, keeps it, and only then
// says 2xx.
//
//	request ─▶ limits ─▶ headers ─▶ body ─▶ MAC ─▶ seen? ─▶ gather ─▶ PUT ─▶ 200
//	             503       400      408,413  401     │        (5 ms)     │
//	                                                 ├─ same body: its outcome, or 200
//	                                                 └─ another body: quarantine, 200
//	                                       store fails ─▶ spill (fsync) ─▶ 200, shipped later
//	                                                  └─▶ 503 + Retry-After
//
// One start of a receiver is one stream. It makes the stream known before it
// writes the first segment, beats while it lives and says at a clean end that no
// more will come. A segment's number is taken right before its write begins, in
// the order in which batches were closed, so an event that came after another
// one was acknowledged has a higher place in the stream. Arrived rises within
// what goes straight to the store; events that were spilled keep theirs.
//
// What may go wrong:
//   - The answer to a write is lost: the object is read and compared; where it is not
//     there the same key and bytes are written again. Unclear to the end, the number is
//     left: whoever follows the stream looks again, and nobody was told 2xx unless the
//     spill has the events, which then may come twice.
//   - The process dies: what was not acknowledged may or may not be in the store. The
//     spill is shipped by the next start, in its stream.
//   - The client leaves: the event is stored all the same.
//   - The store is down: with a spill, batches go there at once while the breaker is
//     open, and what ships them finds out when it closes. Without one they wait for
//     the store while there is time, and are refused.
//
// Headers are not signed. No raw one is part of a key.
package receive
