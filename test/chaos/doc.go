// Package chaos runs the real programs as processes of their own and treats them
// badly.
//
// TestLab: the playground from outside, with one failover, an interrupt and a
// kill; nothing may be left behind.
//
// TestChaos: three coordinators, three Redis, three Sentinels and a simulated
// load balancer. Each run takes a fault from a table and its details from a
// seed, plays one or two failovers under it, heals, and counts:
//
//	note ─▶ fault.play ─▶ heal ─▶ outcomes   the log, against a recorder of the Sentinels
//	                              standing   traffic, staged value and setting at the end
//	                              proved     the provider's journal, against the log
//	                              written    a client that writes through the load balancer
//
// lost, orphans, false success and left standing are 0 in every run; duplicates
// and stale are 0 unless a pause outlasted the window of a claim, which makes a
// line of its own. A violated gate prints the command that plays the run again.
// The seed fixes what is drawn, not how the machine interleaves it.
//
// Three grounds: the released program on loopback; the program with the tag
// failpoints, which dies or stops at a named instruction; and coordinators in
// network namespaces of their own, joined by a bridge, for cuts in one direction
// or both (root only). What cannot be played here is said at the beginning.
//
// TestTakeover: the leader is killed in mid-plan; how soon does the next go on?
//
// TestPausedLeaderReads: a leader is stopped and replaced, and read through when
// it wakes.
//
// Every other playground also has a shop, an endpoint (http), a script (command)
// and a real HAProxy, or some of them (-chaos.also): a third of their deeds fails
// once in each run, each counts what it carried out against the log, and in the
// end each has to hold the master. In namespaces only script and HAProxy. Half of
// all playgrounds have a fence before the cutover.
//
// TestEveryProvider: one spec with OVH and all of those, faults at each of them in
// ten failovers.
//
// TestLeaseWorkers: workers that hold leases of three real coordinators: the leader
// is killed, a worker is stopped and woken, one is cut from the leader, quorum is
// lost.
//
// TestLeaseCounter: sixteen workers, some of them processes, count in a fenced
// Redis through failovers, deaths and pauses. The count is exact.
//
// TestRecovered: the coordinators are put back to an old copy while workers count,
// and one is recovered.
//
// With the tag failpoints: the leader dies at every named point between Observe
// and Settle, and is stopped at some over a newer failover; one effect must
// remain each time.
package chaos
