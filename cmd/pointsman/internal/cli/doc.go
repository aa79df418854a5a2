// Package cli is the command line of pointsman: it parses flags, asks the
// cluster through package remote, hands the answer to package show and ends
// with a code of package fault. It decides nothing about failovers.
//
//	flag > environment (POINTSMAN_ and the flag's name in upper case) > node file > default
//	data to stdout, talk to stderr
//
// Each command group has a file of its own; root.go holds what they share.
package cli
