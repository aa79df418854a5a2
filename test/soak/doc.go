// Command soak lets webhooks flow from end to end while what carries them is
// killed, and counts what came of each event.
//
//	shop ──POST, again until 2xx──▶ 2 receivers ──▶ store ──▶ 8 workers ──▶ handler ─┬▶ plain sink (memory)
//	                                    │             │          │                   └▶ fenced sink (Redis)
//	                                    └──────── SIGKILL every 10 s ◀── 3 coordinators, leader
//
// All are processes of their own: coordinators, Redis and Sentinels of the lab, a
// versitygw (or a folder), receivers of which one spills and one answers 503
// while the store is away, workers of one process each. In the middle the Redis
// master that the pool depends on fails over, and every partition moves.
//
// What it counts comes from this process alone: who was answered 2xx, which event
// the handler was called for, and what stands in the fenced sink. The numbers of
// the programs' own metrics are a comment beside them; those of a killed process
// end with the last look.
//
// Held against each other at the end:
//
//   - Every acknowledged event was handed to the handler at least once, with its
//     own body, and has exactly one effect at the fenced sink.
//   - Nothing was worked that was never sent.
//   - There are no dead letters and nothing is in quarantine; if so, they are listed.
//
// The fenced sink has a Redis of its own, which does not fail over: replication
// is asynchronous, and what an old master acknowledged last would be missing in
// the new one together with its fence. Whoever has a sink that fails over
// needs min-replicas-to-write, or WAIT (package redissink). This measures
// webhooks, not that.
package main
