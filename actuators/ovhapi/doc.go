// Package ovhapi sends the requests of the kinds that stand on OVH's API v1: it
// signs them, in each of the three ways to log in, and says of each answer what
// it means for the object. It knows no object.
//
//	Call ── budget ── clock or token ── signature ── Sending ──▶ OVH
//	result, or an error that says whether anything may have changed ◀──┘
//
// What can go wrong, and why it is safe:
//   - The request left and no answer came, or one that says nothing: in doubt.
//   - A refusal that is no error body of OVH's (a proxy's page, half an answer): tried
//     again, in doubt, for it may pass by itself.
//   - The clock or the token is out of date: dropped. A read is signed anew and sent
//     once more, a write is left to its next attempt.
//   - Somebody else's words hold a key: it is taken out before anybody sees them.
//
// The HTTP client is our own; client.go says what of go-ovh is used and what is
// replaced.
package ovhapi
