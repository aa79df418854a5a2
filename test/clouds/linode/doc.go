// Package linode is a simulated Linode API for one product, the NodeBalancer,
// with TCP listeners behind it where they are wanted.
//
//	PUT/POST/DELETE ──▶ stored ──(Knobs.Propagation)──▶ in effect ──▶ listeners
//	                      ▲                                │
//	GET ──────────────────┘   nothing reads this but traffic ◀┘
//
// A request passes these points, in this order:
//
//	received ▶ fault before ▶ maintenance, rate ▶ token, scope ▶ effect ▶ fault after ▶ answered
//
// Each leaves its time in the journal. A fault before the effect leaves what is
// stored alone, one after it spoils the answer only. A request held before its
// effect is carried out on release even if its sender is gone by then.
//
// What the API's public material says is fixed here: labels of 3 to 32
// characters, weights of 1 to 255, modes, private addresses, paged lists,
// scopes; rebuild updates nodes whose id it knows, makes those without id, and
// deletes those that are left out; a certificate and its key read as
// <REDACTED>. What it leaves open is a knob (Knobs), so that a client can be run
// over all values.
//
// One mutex guards everything; no call keeps it while it waits. Time is plain
// time, so all of it runs in a testing/synctest bubble; the listeners need
// sockets.
//
// Not simulated: HTTP protocols, stickiness, algorithms other than round robin,
// health checks that take a node out, firewalls, transfer, other products.
package linode
