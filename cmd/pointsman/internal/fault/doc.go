// Package fault is the one place that turns an error into what the user sees:
// an exit code, what happened, why, and what to type next.
//
//	0 ok                     the command did what it was asked
//	1 failed                 refused, not found, or broken
//	2 usage or config        the command line, a node file or a spec is wrong
//	3 check failed           the cluster is unhealthy, or a log does not verify
//	4 warnings only          it works, with less in reserve than it should have
//	5 no leader or time-out  nothing is wrong with the request: try later
//
// Programs go by the code and by ErrorInfo's reason, never by the words.
package fault
