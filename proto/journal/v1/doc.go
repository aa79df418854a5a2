// Package journalv1 is the private byte format: log entries, snapshots, and the
// few questions that nodes ask each other on the Raft port.
//
// All but this file is generated from the .proto files beside it.
package journalv1
