// Package sim runs whole clusters from a seed, in virtual time, and judges what came of it at the provider.
//
// A run is one testing/synctest bubble with three nodes. Each has a real
// cluster.Node (hashicorp/raft over a network of our own, bolt with fsync in a
// temporary folder), the real state machine, the real executor, and the real
// ovh and setting actuators; the provider is the simulator of test/clouds/ovh
// behind an HTTP server on the same network. What the Sentinels say is a model,
// judged by sentinel.Merge and sentinel.Judge as coordinator/sights.go does it.
//
//	seed ──▶ plan (drawn outside) ──▶ bubble: nodes, network, provider, Sentinels, events
//	                                     │ faults end, time runs until nothing is open
//	                                     ▼
//	          entries as stored ──▶ replay ──▶ checks by name ◀── the provider's journal
//
// A pause is a hold of everything that a node sends and is sent, replies too:
// a goroutine cannot be frozen from outside. The bytes arrive when it ends,
// though their sender may have given up long before. A crash cuts network and
// store in the same instant; what was synced is what the next process finds.
//
// The plan is a function of the seed. Which goroutine runs first is not: a seed
// replays the same switches and faults, and may need a few repeats to meet the
// same order (-sim.repeat).
//
// What strikes: crashes of one node, two or all, some for good, some at a named
// call (a proposal, a request, a write to disk); cuts of peers and of the
// provider, one-way ones too; requests held on their way for less and for longer
// than the window, delivered twice, answered late, not at all, or with 4xx, 5xx
// and 429; maintenance; reads of the provider that lag; refreshes that fail,
// are blocked, merged or refused; every knob of test/clouds/ovh that public
// material leaves open; edits by others; Sentinels that are away, wiped, seeded,
// reset, that flap, or name two masters at one epoch; an old master that says
// so again; a human's switchover, made again at whoever leads, whose Sentinel
// refuses, begins one and is not heard, or never hears of it; clocks whose rates
// are 5 % apart and wall clocks that step an hour; snapshots every ten entries
// with two left behind them, so that nodes begin from one and are sent one; a
// start on an emptied store, which must be refused.
//
// Beside the load balancer, a part of the seeds has a shop, and one or two of a
// Linode NodeBalancer, an Octavia, OVH failover IPs and an endpoint of the http
// bridge (sides_test.go), each with its own unknowns drawn, its requests lost,
// late, doubled or refused. A quarter has an HAProxy (lines_test.go), which may
// restart once and forget what it was told, a quarter programs of the kind
// command (script_test.go): what a process does is a function here, and the API
// that it calls a host; and a quarter a fence (fence_test.go), whose old masters
// answer, are stopped for a while or come back as masters, with the replication
// ids that Redis gives them and connections that a change of role ends.
//
// A quarter has a pool of leases (pool_test.go): the leader's count of workers,
// the real API over gRPC on the run's network, and workers of package
// client/leases that are killed, stopped, cut off, paused between a look at their
// lease and what they send, or whose writes come late to a sink that compares
// tokens. Tokens only rise, nothing is granted while a failover moves the pool, no
// two workers believe in one partition at a time (clocks agree here), and what the
// cluster answers about tokens is linearizable with the log (porcupine). In half of
// those, workers save checkpoints (poolsave_test.go), some of which are long on the
// way: one is taken under the current token only, and none that was told is lost.
//
// What judges (check_test.go, metrics_test.go, sidechecks_test.go,
// asks_test.go), by name: mutations per action, duplicates, lost, false success,
// stale, stale stands, orphans, intent before deed, span, one value at a time, no
// quorum no deed, settled once, settled by its holder, tokens rise, one failover
// per switch, in doubt, convergence, availability, final value, drift told, left
// open, asked once, asked and told, and for each side stale, duplicates, orphans,
// false success, final value; hashes (at every index that a sample was taken at,
// against the entries), replay, emptied store.
//
// A clock's rate is a factor on raft's timings, the spans of claims and windows,
// the log clock and the judge's times; Go's own timers all run alike.
//
// Not modelled: the Sentinels' wire (package sentinel's watcher has tests of
// its own) and the API; reports between nodes are handed over as values while
// the link is open. A process frozen between two instructions, and disks that
// hang or fill: test/chaos and package cluster have those.
package sim
