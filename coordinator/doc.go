// Package coordinator assembles one node: the replicated log, the Sentinel
// view, the executor, and the API, each of which knows the others only by the
// two or three methods that it declares. It can be started by cmd and by tests;
// several nodes may run in one process.
//
//	Sentinels ─▶ sentinel.Watcher ─▶ sights ──────────────┐ every node
//	                                   │ report, each change │
//	                                   ▼                     ▼
//	                     leader: sights (own and peers') ─▶ judge ─▶ executor.Observe ─▶ log
//	                                                          └─ warm up ─▶ executor.Warm
//
// What runs when:
//   - always: the log, the watcher over the spec's masters, the reports to the leader, the API.
//   - while leading, under the term's context: judge and executor. A graceful
//     stop or transfer first drains the executor.
//
// What it must never do: act outside a term, or decide what the log decides.
package coordinator
