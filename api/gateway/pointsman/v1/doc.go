// Package pointsmanv1 turns HTTP requests into calls of the contract and their
// answers into JSON. All but this file is generated; see package gateway.
package pointsmanv1
