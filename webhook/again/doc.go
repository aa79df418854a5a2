// Package again puts events into the buffer once more: for dead letters that are
// tried again, and for replays.
//
//	rx/<name>-<start>-<random> ──▶ in/.../0 ──▶ in/.../1 ──▶ ... ──▶ rx/ once more, with the end
//
// A stream of its own is made known before its first segment, as a receiver's
// is, so that workers follow it the same way; no receiver's stream is touched.
// Killed at any point, its segments stay and are worked, and whoever begins anew
// puts the same events in a second time, in another stream: their keys are the
// same, so that workers finish each once.
//
// It must never write an event that has the key of one that a shop delivered:
// the ledger knows that one as finished.
package again
