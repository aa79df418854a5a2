// Package ovhip is the kind "ovh_ip": it moves an OVH Additional IP (failover
// IP) to the service that the new master stands on.
//
// OVH moves by a task, which takes about a minute, and there is no
// compare-and-swap and no idempotency key. The IP's description can carry a
// marker, but not in the request that moves. So an action writes twice, the
// marker first:
//
//	PUT description "... [pm 1f2e3d4c cache/7]" ──▶ POST move {to} ──▶ task: init ▶ todo ▶ doing ▶ done ──▶ routedTo
//
// The marker says which failover's value the IP is to have; routedTo says which
// it has. From the marker on an older failover, or another cluster, finds a newer
// one and writes nothing. The move leaves only when the marker was clearly
// answered, so at most one of the two is ever in doubt. The class is readable:
// the object is read before, the window is waited out, the object is read after.
//
// How an action for cache/7 judges what it finds, when no move is under way:
//
//	marker          routed as wanted    routed elsewhere
//	cache/7         applied             absent while it is not done; after that, at
//	                                    another candidate's service: absent (what a late
//	                                    move leaves), anywhere else: foreign
//	cache/6         absent (marker)     absent
//	cache/8         newer               newer
//	of a cluster    newer               newer
//	none, or of     adopt: absent       adopt: absent
//	another master  stuck: applied      stuck: foreign
//
// What can go wrong, and why it is safe:
//   - A move is under way, of an older failover, a dead leader or a human: busy, and
//     read again until it has ended; one that has not for MaxWait is foreign, and
//     its task is named.
//   - The answer to a move is lost: in doubt. The list of tasks may lag behind, so a
//     read that shows none does not count for MaxHidden.
//   - The task is cancelled or ends in error: read, and asked for again if it is due.
//     It is not found: one that was never shown may show late; one that was has ended.
//   - The task is done and the IP shows the old service: busy for MaxLag.
//   - The leader dies between marker and move: the next one finds its own marker and
//     the move due. A human's move in that span cannot be told from it, and is
//     written over.
//   - The IP cannot be moved to that service: foreign, with the list of those it can
//     be. Where OVH does not tell, the move itself is refused, and read again before
//     that counts: it may have been there already.
package ovhip
