// Package layout holds the house rules that a compiler does not know, and the
// test that holds the tree to them:
//
//	floors     who may import whom (the table of ARCHITECTURE.md, in floors.go)
//	doc        one package comment per package
//	size       files of at most 400 lines, functions of at most 50, interfaces
//	           of at most 4 methods; "// size: reason" beside one lifts it
//	init       no init functions
//	purity     fsm reads no clock, no chance, does no I/O, starts nothing
//
// The rules read syntax only, so they hold for every build tag. Generated code
// is exempt from all but floors, test files from size and purity. Each rule has
// a small tree in testdata that it must find fault with.
package layout
