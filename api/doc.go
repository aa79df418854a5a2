// Package api shows the cluster over gRPC and HTTP. Any node answers any call:
// reads go through the log that it is given, commands reach the leader through
// the same log, and what only the leader's process can do is forwarded to it.
//
//	call ─▶ recovery ─▶ log ─▶ metrics ─▶ explain ─▶ deadline ─▶ validate ─▶ forward? ─▶ handler
//	                                        │ every error leaves as google.rpc.Status with ErrorInfo
//
// The same calls are answered as JSON over HTTP: gateway.go says how.
//
// How fresh a read is:
//
//	LINEARIZABLE  Log.Read: a barrier, shared by all that wait; needs a quorum
//	LEADER        the leader's own state, forwarded to it; a deposed one may answer for one lease time
//	STALE         the state of the node that was asked, with its age
//
// A watch compares states. It keeps the log index up to which it has told
// everything, and tells what has a later index, in index order. Since each
// object keeps the index of its last change, a watch may be resumed on any node
// from any index of the same cluster and generation: the answer is "what has
// changed since", in its last state. Changes between two looks are told as one.
// A message's resume_token never lies beyond what was told, so after a resume
// some objects may be told twice; none is left out, except that objects which
// the state has forgotten by age meanwhile are not told at all. Removed settings
// leave no index behind, so WatchSettings resumes only from states that this
// node still holds.
//
// What can go wrong, and why it is safe:
//   - No leader: reads that need one and all commands answer UNAVAILABLE with
//     NO_QUORUM; STALE still answers, and says so.
//   - Two nodes each believe that the other leads: a forwarded call carries a
//     mark and is not forwarded again; it answers NOT_LEADER.
//   - A command's outcome is not known: UNAVAILABLE with OUTCOME_UNKNOWN if the
//     caller gave a request_id (a repeat is then answered with what the first
//     one did), else UNKNOWN, which no client repeats by itself.
//   - A watcher does not read: it is ended after a bounded time and resumes.
//   - A caller over HTTP says "only if unchanged" where a call cannot keep it:
//     refused, since to pass it over would change what was to stay.
//
// Nothing here decides about a failover or touches the world.
package api
