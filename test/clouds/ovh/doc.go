// Package ovh is a simulated OVH API: the IP Load Balancing, with real TCP listeners behind it, and the moves of
// Additional IPs (ip.go), with nothing behind them.
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
// One mutex guards everything; no call keeps it while it waits. Time is plain time, so all of it runs in a
// testing/synctest bubble over DialPipe; the data plane needs real sockets and stays off there.
//
// In a test:
//
//	s, err := ovh.New(ovh.Config{})
//	defer s.Close()
//	s.AddService("ip-203.0.113.7", "gra", "sbg")
//	s.AddFarm("ip-203.0.113.7", ovh.Farm{FarmID: 11})
//	s.AddServer(11, ovh.Server{Address: "10.0.1.20", Port: new(int64(6379))})
//	s.AddFrontend("ip-203.0.113.7", ovh.Frontend{FrontendID: 4711, Port: "6379", DefaultFarmID: new(int64(11))})
//	s.AddCredential(ovh.Credential{ApplicationKey: "ak", ApplicationSecret: "as", ConsumerKey: "ck"})
//	url, err := s.Start("127.0.0.1:0") // or Handler, or DialPipe
//
// What may go wrong with the counts, and what keeps it from that:
//
//   - A write is journalled no more: the bounds are counted, and a Proof over a shortened journal says Dropped.
//   - A held request lands late: the proof goes by the order of effects, not of arrival.
//   - Somebody else's edit looks like ours: foreign credentials and foreign edits are marked at their entry, and
//     in no count; a write of our key without marker counts as an orphan.
//
// Not simulated: health checks (serverState stays empty, a probe never takes a server out), proxy protocol and
// shutdown-sessions on the data plane, HTTP and UDP frontends, SSL, vRack, quotas, stickiness and weights, the
// browser's half of a consumer key.
package ovh
