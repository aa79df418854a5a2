package show

import (
	"fmt"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Verified is what was read back from the logs of all nodes.
type Verified []VerifiedNode

// VerifiedNode is one node's part; Error is why there is no answer.
type VerifiedNode struct {
	Node, Address string
	Answer        *pointsmanv1.VerifyNodeResponse
	Error         string
}

// Holds reports whether every node answered, its log holds, and states at
// equal index are equal.
func (v Verified) Holds() bool {
	return len(v) > 0 && v.missing() == 0 && len(v.differ()) == 0 && v.aligned()
}

func (v Verified) missing() int {
	n := 0
	for _, node := range v {
		if node.Error != "" {
			n++
		}
	}
	return n
}

// differ lists the log indexes at which two nodes have different states.
func (v Verified) differ() []uint64 {
	hashes, told := map[uint64]string{}, map[uint64]bool{}
	var all []uint64
	for _, node := range v {
		i, h := node.Answer.GetStateIndex(), string(node.Answer.GetStateHash())
		if node.Error != "" {
			continue
		}
		if have, ok := hashes[i]; ok && have != h && !told[i] {
			all, told[i] = append(all, i), true
		}
		hashes[i] = h
	}
	return all
}

// aligned reports whether all nodes that answered did so at one index, so that
// their hashes say something about each other.
func (v Verified) aligned() bool {
	for _, node := range v {
		if node.Error == "" && node.Answer.GetStateIndex() != v[0].Answer.GetStateIndex() {
			return false
		}
	}
	return true
}

// Compared reports whether another look is of no use: the states were compared
// at one index, or a node is missing.
func (v Verified) Compared() bool { return v.missing() > 0 || v.aligned() }

// Parts is the same for programs.
func (v Verified) Parts() []Part {
	var nodes []Part
	for _, n := range v {
		part := []Part{{"address", n.Address}, {"error", n.Error}}
		if n.Answer != nil {
			part = append(part, Part{"answer", n.Answer})
		}
		nodes = append(nodes, Part{n.Node, part})
	}
	return []Part{{"verified", v.Holds()}, {"nodes", nodes}}
}

// Verified writes what was read back.
func (p *Printer) Verified(v Verified) {
	g := p.grid(cols("NODE", "ENTRIES", "LOG", "STATE INDEX", "STATE HASH", "+ADDRESS", "RESULT"))
	for _, n := range v {
		if n.Error != "" {
			g.row(n.Node, none, none, none, none, n.Address, p.paint(bad, n.Error))
			continue
		}
		r := n.Answer
		g.row(n.Node, fmt.Sprint(r.GetEntries()), fmt.Sprintf("%d-%d", r.GetFirstIndex(), r.GetLastIndex()),
			fmt.Sprint(r.GetStateIndex()), short(fmt.Sprintf("%x", r.GetStateHash())), n.Address, p.paint(good, "holds"))
	}
	g.print()
	switch {
	case v.missing() > 0:
		p.printf("%s\n", p.paint(bad, "not verified: "+count(v.missing(), "node")+" gave no good answer"))
	case len(v.differ()) > 0:
		p.printf("%s\n", p.paint(bad, fmt.Sprintf("not verified: states differ at log index %d", v.differ()[0])))
	case !v.aligned():
		p.printf("%s\n", p.paint(warn, "not compared: the log moved on between the answers; try again when it is quieter"))
	default:
		p.printf("%s\n", p.paint(good, fmt.Sprintf("verified: every entry holds, states equal at log index %d", v[0].Answer.GetStateIndex())))
	}
}
