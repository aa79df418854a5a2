// Package guarded runs a command while a lease is held, in a process group of
// its own, and ends the whole group when the lease ends.
//
//	granted ─▶ command runs ─▶ it ends by itself ─▶ what it left in its group is killed
//	                 │
//	                 ├─ asked to hand over: SIGTERM, and SIGKILL when the lease is over
//	                 └─ lease lost:         SIGTERM, and SIGKILL after Grace
//
// The group outlives nothing: not the command, since what it left behind would
// work without a lease; not this program, as far as the kernel sees to it (Linux:
// the command itself is killed with its parent).
//
// What it cannot do: stop a process that has left its group (setsid), or take
// back what the command has sent. A sink that compares the token can.
package guarded
