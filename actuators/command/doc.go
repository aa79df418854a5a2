// Package command is the kind "command": it runs a program of the user on the
// leader's node, with the seven arguments of Redis Sentinel's
// client-reconfig-script, so that a script that stood there can be taken over
// as it is. What it gains is the log, the order and that only one node runs it.
//
//	<master-name> leader start <from-ip> <from-port> <to-ip> <to-port>
//
// What a run's end means, which is the program's word against ours:
//
//	exit 0                 done
//	exit 1                 not done, nothing was changed: again later; a line
//	                       POINTSMAN_RETRY_AFTER=<seconds> in its output says when
//	exit 2                 not done, and no further run can help: stuck
//	any other exit         it broke somewhere on its way: in doubt
//	a signal, our own at   in doubt
//	the end of the claim
//	no start               nothing was changed; for good when the file is the reason
//
// Sentinel itself takes 2 and above for good. Here only 2 is, since what
// `curl -f` or `set -e` end a script with says nothing of what was changed.
//
// The class is the user's word in the step (repeat):
//
//	blind     the default: in doubt means stuck, a human looks
//	keyed     the program knows POINTSMAN_KEY, the same at each run of one action:
//	          in doubt it is run again
//	readable  a second program, check, tells: in doubt it decides; the default with
//	          a check
//
// A check that prints POINTSMAN_MARKER as the program left it in the object lets
// a newer failover's value be told from an older one's; without, only the value
// is compared, and a late write of an older failover is repaired at the next look.
//
// What can go wrong, and why it is safe:
//   - The program hangs: its whole process group is killed when the claim's span ends.
//   - It leaves children behind: what is still in its group is killed when it ends.
//     A child in a session of its own (setsid) escapes; nothing here can see it.
//   - The node dies: on Linux the program is killed with the process, its children
//     may go on for a while; that is what the target's hold is for.
//   - It prints a secret, or without end: 8 KiB of the end are kept, the secrets
//     that it was given are taken out, 300 bytes are shown.
//   - Somebody else can write the file: it is not run.
package command
