// Package setting is the kind "setting": a replicated key whose value a
// failover rewrites. The effect is part of the Settle entry (class InLog), so
// there is no request, no window and no doubt: Act only names the write, and
// the log carries it out.
//
// A value is a text/template over Fields. Templates may insert, choose and
// compare (if, with, functions); they may not loop or call each other, since a
// value is made on the way between a promotion and the first deed.
package setting
