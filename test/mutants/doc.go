// Command mutants plays the planted bugs (internal/planted), one at a time, and
// says who catches each. Run it in the module's root, or by `make mutants`:
//
//	go run ./test/mutants                     all of them
//	go run ./test/mutants -only skip-window   this one
//
// For each bug the table (catchers.go) names two catchers: a test near the
// guard, and a judge of the whole, which sees only what a provider, a client or
// the log sees. The judge is
//
//	test/sim     whole clusters, or leaders in turn at one object, in virtual
//	             time; the seed that caught it is printed
//	test/chaos   real processes, for what a bubble cannot show: a paused process
//	otherwise    a test of a whole part under drawn or enumerated faults: three
//	             real Raft nodes (cluster), the executor against a provider that
//	             outlives it (executor), the state machine or the rules of
//	             acceptance under drawn histories (fsm, sentinel)
//
// A bug is caught when both fail while it is played and, with the same binary
// and the same seed, both pass without it. Whatever else ends a test (a panic
// of the harness, a timeout) is no catch. One that survives makes the exit
// code 1.
package main
