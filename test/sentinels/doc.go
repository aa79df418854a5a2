// Package sentinels tests package sentinel from outside, against real Redis and
// Sentinel processes and against servers that lie or hang.
package sentinels
