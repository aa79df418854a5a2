// Package sentinel sees: it makes one View per master out of all its Sentinels
// and judges which change of address may be accepted. It never writes to Redis
// or Sentinel, but for Order: one SENTINEL FAILOVER that a human asked for.
//
//	Sentinel ──▶ poll: getter, MASTER, getter ──┐  state, 4/s at rest
//	         ──▶ subscription: events ── nudge ─┤  50/s in trouble
//	Redis    ──▶ ROLE of each candidate ────────┤  1/s, 10/s in trouble
//	                                            ▼
//	                     Watcher ── View ──▶ Merge with peers' Views
//	                                            ▼
//	           Memory, Accepted, candidates ─▶ Judge ─▶ Verdict
//
//	   not known ── Seed ──▶ (address, epoch) accepted ◀──────────────────────┐
//	                           │ higher epoch, candidate, ROLE master         │
//	                           ├──────────────────────────────── Advance ─────┤
//	                           │ same epoch, other address: alert;            │
//	                           │ majority and ROLE for 5 s ───── Resolve ─────┤
//	                           │ majority regressed, all agree, 10 s          │
//	                           └─ the epoch falls, the address stays  Rebase ─┘
//
// State is read, events only nudge: a lost event costs a quarter of a second.
//
// What can go wrong, and why it is safe:
//
//   - One Sentinel is dead, hangs or is cut off: its report is not Seen after a
//     second and counts for nothing; majority means of the declared ones.
//   - One Sentinel lies about the epoch: a node that does not answer ROLE as
//     master vetoes it; the present address under a higher epoch needs a
//     majority; a claim that nobody follows for 5 s counts only with a majority.
//   - The address is forged: an address that is no candidate is never dialed,
//     never gets our password, and is never accepted.
//   - The getter flips between the reads: it is read before and after the epoch
//     and both answers must be equal (there is no MULTI in Sentinel).
//   - The promoted node cuts our connection (CLIENT KILL): redialed at once.
//   - Sentinels forget (wiped, restored): a lower epoch is never a failover; the
//     base falls only by Rebase, which moves nothing.
//   - This process was paused: reports carry their age, and timers of Judge that
//     span a gap in its calls start again.
package sentinel
