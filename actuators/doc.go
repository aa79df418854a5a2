// Package actuators is the contract between the executor, which decides when a
// claim may be acted on, and the folders below, which each know one outside
// world. A kind describes the end wanted ("the frontend points at B"), never
// the step to it.
//
//	spec ── Kind.Plan ──▶ object, class          (at apply: all problems at once)
//	failover ── Kind.Render ──▶ value            (before Observe: pure)
//	target ── Kind.Open ──▶ Actuator
//	            Read ──▶ Reading ── Judge ──▶ Sight   (look before and after)
//	            Act  ──▶ Outcome                      (only under a claim)
//	            Follow ──▶ Progress                   (a provider's task; reads only)
//	Reading ── Compare ──▶ Shown              (Comparer: the value alone, whoever wrote it)
//
// The law, which actuatortest holds every kind to:
//   - Read and Follow never change anything outside.
//   - Act sends at most one request that could change the object, after all its
//     own reads, and nothing once ctx has ended. A marker that cannot ride in it
//     goes before it, and it leaves only when the marker was clearly answered.
//   - Act returns only when that request was answered, or with Doubt. Without
//     Doubt the executor releases the object.
//   - A time-out, a lost connection or a 5xx after the request left is Doubt,
//     never a failure: the effect may have happened.
//   - Judge is a function of its arguments.
//   - Where nothing can be read back, a clear answer is all that there is to see.
//     A blind deed is done by it. A keyed one waits with it as its checkpoint, so
//     that it stands in the log; Follow then says done, and Judge says applied of
//     what is Answered and absent of anything else: after a lost answer the same
//     request goes out again with the same key, until one is answered.
//   - No secret is in a Reading's detail, an error, a Value or a log line.
package actuators
