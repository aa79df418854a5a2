// Package lab is the whole playground in one place: real Redis and Sentinels, a
// simulated OVH whose load balancer carries real traffic, three coordinators as
// processes of their own, and a client that writes through the load balancer all
// the time. It makes failovers, kills leaders in mid-deed, and counts what came
// of it.
//
//	Lab ──┬─ Redis      redis + sentinels     processes  ◀── SIGKILL
//	      ├─ Recorder   what the Sentinels said, seen by ourselves
//	      ├─ Cloud      simulated OVH         in this process, the proof is counted here
//	      ├─ Nodes      pointsman server × 3  processes  ◀── SIGKILL, restart
//	      ├─ Watch      what the API says, stamped at arrival
//	      └─ Writer     SET through the load balancer
//
// The coordinators run from the files of deploy/samples: only addresses, names,
// paths and the provider's request rate are replaced.
//
// What it promises:
//
//   - Every wait has an end, and its error names what was awaited.
//   - Close leaves no process and no file. Processes die with this one, even
//     when it is killed.
//   - Nothing that a Report says about the provider comes from the program under
//     test, except the list of actions that the provider's journal is held against.
//   - Instants are compared within this process by its monotonic clock; the only
//     wall times taken from the API are of the same machine.
package lab
