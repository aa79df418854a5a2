// Package planted takes guards out, one at a time, to see who misses them.
//
// A guard that no test misses may be broken tomorrow without a word. So each
// one that a guarantee rests on has a name in the table (bugs.go), and asks
// Bug(name) at the place where it stands:
//
//	if c.Term != e.Term && !planted.Bug(planted.ClaimAnyTerm) {
//		return refused(...)
//	}
//
// Without the build tag mutants Bug is a constant false: the compiler drops the
// call, the name and what hangs on it, and the program is as if neither stood
// there (test/mutants looks for the names in it). With the tag one name may be
// chosen by the environment variable POINTSMAN_MUTANT; it is read once, when
// the program begins, and an unknown name ends it. No command, file or entry
// can choose one.
//
// Such a program must never serve anybody. It says so when it is asked for its
// version and when a server starts (Warning). `make mutants` plays all names.
package planted
