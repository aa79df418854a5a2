// Package boot reads the clock that also counts while the machine is suspended.
package boot
