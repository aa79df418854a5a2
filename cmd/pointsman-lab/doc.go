// Command pointsman-lab is the playground: real Redis and Sentinels, a simulated
// OVH and three coordinators on one machine, for a demonstration, for trying
// things out, and for measuring.
//
//	demo    failovers one after another, a leader killed in mid-deed, the proof
//	up      the playground, until Ctrl-C
//	bench   the figures of the README
//
// It needs the pointsman program (beside it, in PATH, or --pointsman) and a
// Redis server. Everything listens on free loopback ports. Whatever way it ends,
// no process and no file is left but the report.
package main
