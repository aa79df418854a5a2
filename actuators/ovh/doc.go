// Package ovh is the kind "ovh_iplb": it points a TCP frontend of an OVH IP
// Load Balancing at the farm of the new master.
//
// OVH stages every write; traffic moves when a refresh has applied what is
// staged. So a failover takes two actions:
//
//	lb       PUT frontend {defaultFarmId, displayName}  ──▶ staged ──▶ waits on ─┐
//	refresh  POST refresh ──▶ task: todo ▶ doing ▶ done ──▶ pendingChanges empty ─┴▶ applied
//
// One farm per candidate stands beforehand, with that candidate as its only
// server. Then every staged state has exactly one backend, whoever refreshes
// and whenever.
//
// There is no compare-and-swap and no idempotency key, so the frontend's name
// carries a marker behind the user's own text, "[pm 1f2e3d4c cache/7]": first
// eight characters of the cluster's id, and the failover. How an action for
// cache/7 judges what it finds:
//
//	marker          value as wanted                 another value
//	cache/7         staged, or applied (see Judge)  foreign: edited since
//	cache/6         absent                          absent
//	cache/8         newer                           newer
//	of a cluster    newer                           newer
//	none, or of     adopt: absent                   adopt: absent
//	another master  stuck: applied if all is clean  stuck: foreign
//
// What can go wrong, and why it is safe:
//   - An answer is lost: the error is in doubt, the next read finds marker and value.
//   - A refresh is posted twice: it carries no value, the second applies the same.
//   - A refresh is merged into one that ran before: it is followed to its end and
//     then posted again, since that one may have taken its snapshot too early.
//   - A farm holds another server than its candidate: foreign, nothing is written.
//   - A task ends in error, or is cancelled: act again. It is blocked: say so, keep
//     asking. It vanished: taken as ended, and pendingChanges decides, asked before
//     another refresh may clear it. It is not shown yet (404 for one that was never
//     seen): asked for again, since a count that is cleared early would otherwise
//     pass for applied.
//   - A refresh covers some zones only: the others are refreshed one by one.
//   - A second refresh is refused in words that are not known: whatever they are,
//     while another refresh runs it is not for good.
//   - A late write of an older failover lands: its marker is older, repaired.
//
// How requests are signed, and what an answer means, is in actuators/ovhapi.
package ovh
