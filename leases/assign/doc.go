// Package assign decides which worker should hold which partition. It is pure:
// Plan is a function of who holds what and who is there, and says what to do
// next; the caller does it and asks again.
//
//	quota      per worker: its share of the pool by capacity, rounded down or up;
//	           per zone likewise. Rounding favours who already holds more.
//	a free     partition goes to the worker below its quota that ranks it
//	           highest (rendezvous hashing: a hash of worker and partition)
//	a move     takes a partition from a worker above its quota to one below,
//	           the pair with the highest rank first, at most Moves at once
//
// What holds:
//   - A free partition gets an owner while any worker has room (Grant).
//   - The moves still to come are the fewest that lead to a balanced pool, and
//     a balanced pool is left alone: Plan of what it led to is empty.
//   - A worker that joins n others of its capacity takes at most its own share,
//     partitions/(n+1) rounded up, and nothing moves between the others. When one
//     of them leaves, at most one partition that another holds moves, for the
//     sake of a zone's share.
//   - The same input gives the same answer, in whatever order workers are listed.
//
// What can go wrong, and why it is safe:
//   - A holder is not among the workers (it is gone, and not yet expired): what it
//     holds is left alone until the caller says that it is free.
//   - Capacity is short: as many partitions as fit have owners, the lowest numbers
//     first among those that are free.
//   - A worker holds more than its capacity (it was lowered): the excess moves.
//
// Nothing here fences: two plans in a row may name two owners, and only the
// grant in the log makes one of them true.
package assign
