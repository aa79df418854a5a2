// Package tend keeps the buffer of webhooks in order: it removes segments that
// everybody has finished and nobody needs (Retain), and takes out bodies that a
// shop has asked to be redacted (Note, Redact).
//
// All of it may be done by several at once and may be cut short anywhere: what is
// removed was finished by every partition, which stays true, and a redaction stands
// until a pass has found nothing more to do. Ages are those of the store's clock.
package tend
