// Package redis runs real Redis and Sentinel processes for the lab and for
// tests: one master, its replicas and its Sentinels on free loopback ports, and
// a Recorder that watches them independently of the program under test.
//
//	Start ──▶ redis × 3 ──▶ in sync ──▶ sentinel × 3 ──▶ know each other ──▶ Lab
//	                                                                          │
//	        Kill, Pause, Resume, Restart, WipeSentinel, Do ◀──────────────────┤
//	        Close: every process killed, the folder removed unless Keep ◀─────┘
//
// What it promises:
//
//   - Processes die with their parent, even a killed one: each carries
//     PR_SET_PDEATHSIG. The kernel binds that to the forking thread, so one
//     goroutine locked to one thread starts them all and lives as long as the
//     Lab.
//   - Ports lie below the kernel's ephemeral range. A client that redials a dead
//     port inside that range can connect to itself, or steal the port.
//   - It signals only processes that it started, by their own process id.
//   - It speaks RESP by itself: an error in the client library of the program
//     under test cannot hide in the measurement.
package redis
