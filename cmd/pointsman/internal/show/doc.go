// Package show turns answers of the API into text for people and for programs.
// It asks nobody and decides nothing: every function here is given the answer.
//
// Text for people may change at any time; JSON and YAML are the API messages
// themselves and are stable. Spans are differences on the log clock of the
// cluster, never of two wall clocks.
package show
