// Package remote reaches the cluster for the commands: which node is asked,
// how fresh the answer has to be, how pages are joined and how a watch goes on
// after a broken stream.
//
// Commands ask any node that answers, since every node forwards what only the
// leader can do. A node whose own answer is wanted is dialled by its address.
package remote
