// Package redissink writes to Redis for the holder of a lease, so that a worker
// that comes late changes nothing there: one script (fence.lua, usable from any
// language) compares the lease's token with the highest one that was seen, runs
// the commands and keeps the id of the piece of work.
//
//	worker A, token 7   ──▶ Raise: fence = 7   ──▶ Apply(id 1): applied
//	       (paused)
//	worker B, token 9   ──▶ Raise: fence = 9   ──▶ Apply(id 1): already
//	worker A wakes      ──▶ Apply(id 2): ErrFenced, nothing done
//
// What is counted: commands run once per id, as long as the id is kept
// (Config.Keep), on one Redis that keeps its data.
//
// What can go wrong, and why it is safe or not:
//   - The answer is lost and the call repeated: the id is there, Already.
//   - A command is refused in the middle: Redis takes nothing back; give one
//     command, or such as cannot fail, to one Apply.
//   - A failover of Redis loses its last writes (replication is asynchronous),
//     the fence and the ids among them. The commands are lost with them, together,
//     since one script is one write to the replicas; a worker of a later grant
//     raises the fence again before it begins. Whoever cannot do without those
//     writes needs min-replicas-to-write, or WAIT.
//   - Nobody has raised the fence since the last grant: an older token still passes.
//     Raise is therefore the first thing that a handler does.
package redissink
