//go:build !mutants

package planted

// Bug reports whether the guard of that name is taken out: never, in this build.
func Bug(Name) bool { return false }

// Warning is what a program with planted bugs must say of itself; this one has none.
func Warning() string { return "" }
