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
// Not modelled: the Sentinels' wire (package sentinel's watcher has tests of
// its own) and the API; reports between nodes are handed over as values while
// the link is open. Clock rates that differ, steps of the wall clock, a frozen
// process, and disks that lie: test/chaos has the last two.
package sim
