// Package octavia is the kind "octavia": it points a TCP listener of an
// OpenStack Octavia load balancer, such as OVH's Public Cloud Load Balancer, at
// the pool of the new master.
//
//	PUT listener {default_pool_id, description} ──▶ PENDING_UPDATE ──▶ ACTIVE: applied
//	                                                      │   └──▶ ERROR: written again
//	                                                      └ the whole tree takes no other change (409)
//
// One pool per candidate stands beforehand, with that candidate as its only
// member. So one field of one object is the whole swing, and no state in between
// has zero or two backends. Replacing a pool's members would be one request
// too, but has no place for a marker that outlives them.
//
// There is no compare-and-swap and no idempotency key, so the listener's
// description carries a marker behind the user's own text (actuators.Marker).
// How an action for cache/7 judges what it finds, once nothing is pending:
//
//	marker          value as wanted             another value
//	cache/7         applied; absent in ERROR    foreign: edited since
//	cache/6         absent                      absent
//	cache/8         newer                       newer
//	of a cluster    newer                       newer
//	none, or of     adopt: absent               adopt: absent
//	another master  stuck: applied              stuck: foreign
//
// While the listener or its load balancer is PENDING_UPDATE, whoever caused it,
// the answer is busy: what stands there need not be in effect, and a write would
// be refused. After our own PUT the action waits instead (Outcome.Waiting) and
// Follow looks until the load balancer is done with it.
//
// What can go wrong, and why it is safe:
//   - An answer is lost: the error is in doubt, the next read finds marker and value.
//   - 409, the load balancer is immutable: refused before any effect, tried again.
//   - The push to the balancer's machines fails: the listener is in ERROR and takes
//     changes, so the same value is written again.
//   - The load balancer itself is in ERROR: it takes no change until its operator
//     has acted; stuck, with that said.
//   - It stays PENDING_UPDATE for good: stuck after the executor's limit.
//   - A pool holds another member than its candidate: foreign, nothing is written.
//   - The token has expired or was revoked: 401; a read gets one new token, a write
//     is left to its next attempt. A new token that is refused is stuck.
//   - A GET is answered from an old copy: the write is repeated with the same content.
//   - A late write of an older failover lands: its marker is older, repaired.
package octavia
