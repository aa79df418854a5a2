// Package chaos runs the real programs as processes of their own and treats them
// badly.
//
// Without a build tag: the playground from outside, with one failover, an
// interrupt and a kill; nothing may be left behind. With the tag failpoints:
// the leader dies at every named point between Observe and Settle, and one
// effect must remain each time.
package chaos
