// Package guarded runs a command while a lease is held, in a process group of
// its own, and ends the whole group when the lease ends.
//
//	granted ─▶ command runs ─▶ it ends by itself ─▶ what it left in its group is killed
//	                 │
//	                 ├─ asked to hand over: SIGTERM, and SIGKILL when the lease is over
//	                 └─ lease lost:         SIGTERM, and SIGKILL after Grace
//
// Between this program and the command stands a guard: this program once more, in
// a session of its own.
//
//	leases run ══ orders ══▶ guard ── starts, waits, kills ──▶ command and its group
//	           ◀═ reports ══
//
// The group outlives nothing:
//   - not the command: what it left behind would work without a lease;
//   - not this program, however that ends: the guard finds no more orders to come,
//     and kills the group;
//   - not the guard: the kernel kills the command with it (Linux), and this program
//     the rest of the group.
//
// What it cannot do: stop a process that has left its group (setsid), or take
// back what the command has sent. A sink that compares the token can.
package guarded
