// Package wire sends the requests of the kinds that speak HTTP. It knows no
// vendor: what a status or a body means beyond HTTP is the kind's to say.
//
//	Call ── budget ── Sign ── connection ── Sending ──▶ provider
//	Answer, or an error that says whether anything left ◀──┘
//
// Each request is bounded in time, each answer in bytes. No redirect is
// followed unless the kind says so: a credential is for one place. Nothing is sent a second time here;
// HTTP/1.1 only, since there the transport never repeats a PUT or POST once a
// byte of it left (it repeats a GET whose idle connection had been closed; an
// Idempotency-Key, by which it would, is sent in lower case for that reason).
//
// What an error of Send means for the object:
//   - The budget, the signature or the connection was not to be had: nothing left.
//   - Anything after that, for a call that may change the object: in doubt.
//   - Anything after that, for a read: later.
package wire
