// Package haproxy runs real HAProxy processes, as Debian ships them, for tests
// and measurements. A process ends with its Close, and with the program that
// started it.
package haproxy
