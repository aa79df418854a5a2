package cluster

import (
	"testing"
	"time"

	"github.com/pointsman/pointsman/cluster/journal"
	"github.com/pointsman/pointsman/fsm"
)

func encodePayload(c fsm.Command) ([]byte, error) { return journal.EncodeCommand(c) }

// claimed brings a small spec, a first view and a switch with a riding claim
// into the log, and returns the claim's token.
func claimed(t *testing.T, n *Node) fsm.Token {
	t.Helper()
	tenure, _ := n.currentTenure()
	spec := fsm.Spec{
		Targets: []fsm.TargetSpec{{ID: "lb-par", Kind: "ovh_iplb", Hold: 10 * time.Second}},
		Masters: []fsm.MasterSpec{{
			ID:         "cache",
			Candidates: []fsm.Candidate{{Address: "10.0.1.20:6379"}, {Address: "10.0.2.20:6379"}},
			Plan:       []fsm.Stage{{Name: "cutover", Steps: []fsm.Step{{Name: "lb", Target: "lb-par", Kind: "ovh_iplb", Object: "lb-par/frontend/1", Class: fsm.Readable, Act: 5 * time.Second}}}},
		}},
	}
	answers, err := n.ProposeAll(within10(t), tenure.term,
		fsm.PutSpec{Spec: spec},
		fsm.Observe{Master: "cache", Revision: 1, Address: "10.0.1.20:6379", Epoch: 1, As: fsm.Seed},
		fsm.Observe{
			Master: "cache", Revision: 1, Address: "10.0.2.20:6379", Epoch: 2, As: fsm.Advance, Term: tenure.term,
			Values: []fsm.Value{{Step: "lb", Value: []byte("2")}}, Claims: []fsm.Ride{{Step: "lb", Act: 5 * time.Second}},
		})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range answers {
		if a.Err() != nil {
			t.Fatal(a.Err())
		}
	}
	if len(answers[2].Claims) != 1 {
		t.Fatalf("no claim was granted: %+v", answers[2])
	}
	return answers[2].Claims[0].Token
}
