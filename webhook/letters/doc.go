// Package letters is what a person does with events that were set aside: dead
// letters, and deliveries in quarantine.
//
//	dead/       ──retry──▶ in/ again, then the letter is deleted
//	quarantine/ ──retry──▶ in/ again as an event of its own, then deleted
//	both        ──drop───▶ dropped/ who and why, then deleted
//
// What a letter is made into is written before the letter goes. Killed in
// between, the letter is still there, and the same again makes the same event:
// the ledger knows that one as finished, and it is worked once.
//
// A dead letter keeps its idempotency key when it is tried again, since its
// effect may have happened; so a sink that keeps keys has it once. One whose
// worker died between the letter and the commit may have been worked by the next
// worker all the same: a retry then hands it out once more, under the same key.
//
// It must never delete a letter whose event is not durable elsewhere, or whose
// end is not on record.
package letters
