// Package leases is the kind "leases": the step of a plan that opens a pool again
// after a failover has suspended it, with the new master's address. The effect is
// part of the Settle entry (class InLog), so there is no request, no window and
// no doubt.
//
//	Observe (failover accepted)      held ─▶ draining, or locked with handover: immediate; nothing is granted
//	Settle{done} of this step        the pool is open for the new address; each partition is granted anew,
//	                                 under a new token, as soon as it is free
//
// Done therefore means that the log hands out the new address and no other. A
// partition that still drains is its worker's until that releases it or its time
// is over; it is granted to nobody meanwhile.
package leases
