// Package buffertest has what tests of the webhook path stand on: a store in
// memory, a store that goes wrong on purpose, and the suite that every store
// passes.
//
// Memory keeps the law of buffer.Store to the letter. Faulty wraps any store and
// breaks single calls of it: by odds that a seed decides, for a time, or for the
// next calls only.
package buffertest
