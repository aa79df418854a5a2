// Package ovh is a simulated OVH API for one product, the IP Load Balancing, with real TCP listeners behind it.
//
// What it keeps apart, as the provider does:
//
//	PUT/POST/DELETE ──▶ staged ──(refresh: task todo ▶ doing ▶ done)──▶ applied, per zone ──▶ listeners
//	                      ▲                                                  │
//	GET ──────────────────┘   nothing reads this one but traffic ◀───────────┘
//
// A request passes these points, in this order:
//
//	received ▶ fault before ▶ maintenance, rate ▶ signature, key, rules ▶ effect ▶ fault after ▶ answered
//
// Each leaves its time in the journal. A fault before the effect leaves the stored state alone; a fault after it
// spoils the answer only. A request held before its effect is carried out on release even if its sender is gone
// by then: that is how a late delivery is played.
//
// What the provider's public material leaves open is a knob (Knobs), so that a client can be run over all
// values. What it establishes is fixed here and held against testdata/models.json by the tests.
//
// One mutex guards everything; no call keeps it while it waits. Time is plain time, so the handler runs in a
// testing/synctest bubble over net.Pipe; the data plane needs real sockets and stays off there.
//
// Not simulated: health checks (serverState stays empty, a probe never takes a server out), HTTP and UDP
// frontends, SSL, vRack, quotas, and the sharing of a frontend's traffic by source address.
package ovh
