// Package octavia is a simulated OpenStack Octavia, as OVH Public Cloud offers it, with the Keystone that guards it.
//
// A load balancer with all below it is one tree under one lock:
//
//	PUT/POST/DELETE ──▶ ACTIVE? no: 409 ── yes ──▶ stored, all above it PENDING_UPDATE
//	                                                   │ Provision
//	GET ──▶ stored            traffic ◀── effect ◀─────┴──▶ ACTIVE, or ERROR (see Outcome)
//
// A request passes these points, in this order:
//
//	received ▶ fault before ▶ maintenance, rate ▶ token, rights ▶ effect ▶ fault after ▶ answered
//
// A fault before the effect leaves the stored state alone, one after it spoils the answer only. A request held before
// its effect is carried out on release even if its sender is gone by then: that is how a late delivery is played.
//
// What public material leaves open is a knob (Knobs), so that a client can be run over all values. One mutex guards
// everything, no call keeps it while it waits. Time is plain time: all of it runs in a testing/synctest bubble.
//
// Not simulated: creating and deleting of balancers, listeners and pools, L7 policies, health checks (Operating says
// what they would), TLS, flavours, quotas, and a data plane with sockets (Effect tells where traffic goes).
package octavia
