// Package journal turns commands and states into bytes and back. It is the one
// place that knows both the values of fsm and their form on disk.
//
// An entry, as Raft replicates it:
//
//	'P' 'E' version │ journal.v1.Entry{kind, id, term, clock, wall, node, actor, payload} │ CRC-32C of all before
//
// A snapshot, as it is stored and sent:
//
//	'P' 'S' version │ length, journal.v1.Record │ ... │ length 0 │ SHA-256 of all before
//	                  header first, then each sort in key order
//
// The SHA-256 is also the hash of the state: nodes compare it at equal index.
//
// What can go wrong:
//   - A flipped bit, a cut, a foreign file: ErrCorrupt.
//   - A newer release wrote it (version, kind or field unknown here): ErrNewer.
//     Nothing is skipped, since nodes that skip differ.
//   - Absurd lengths: bounded before anything is allocated.
//
// Decoding never panics; two fuzz targets hold it to that. Bytes of every
// release stand in testdata and must decode for ever.
package journal
