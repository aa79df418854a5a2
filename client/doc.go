// Package client dials a Pointsman cluster. Dial gives a connection whose calls
// go to the leader, with nothing but gRPC's own means: every node reports the
// health of a service named "leader", which serves only while it leads, and the
// balancer picks among the nodes that serve it.
//
//	endpoints ─▶ round_robin ─▶ health of "leader" ─▶ the one node that leads
//	                └─ none: the call waits (waitForReady) until one leads or its time is up
//	Any:  endpoints ─▶ round_robin ─▶ any node that answers (each forwards what only the leader can do)
//	Node: one endpoint, for what only that node knows (VerifyNode)
//
// What can go wrong, and why it is safe:
//   - The leader changes between two calls: the next call goes to the new one.
//   - The leader dies during a call: UNAVAILABLE is repeated by gRPC; a mutation
//     carries a request_id, set here when the caller set none, so that a repeat
//     of the same call is answered with what the first one did.
//   - A stream ends: WatchSettings and its like begin it anew where it was left;
//     a bare stream does not, and its last resume_token says where to go on.
//
// No call here touches Redis or a provider.
package client
