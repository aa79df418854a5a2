package sentinel

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// genStep draws what the three Sentinels and nodes say.
func genStep(t *rapid.T) at {
	report := rapid.Custom(func(t *rapid.T) string {
		if rapid.IntRange(0, 5).Draw(t, "dead") == 0 {
			return "-"
		}
		return fmt.Sprintf("%s@%d id%d",
			rapid.SampledFrom([]string{"a", "b", "c", "x"}).Draw(t, "node"),
			rapid.IntRange(0, 4).Draw(t, "epoch"), rapid.IntRange(0, 1).Draw(t, "id"))
	})
	role := rapid.SampledFrom([]string{"m", "s", "S", "-", "?", "M"})
	return at{
		after: time.Duration(rapid.IntRange(1, 4000).Draw(t, "ms")) * time.Millisecond,
		says:  report.Draw(t, "s1") + "|" + report.Draw(t, "s2") + "|" + report.Draw(t, "s3"),
		roles: role.Draw(t, "a") + role.Draw(t, "b") + role.Draw(t, "c"),
	}
}

// TestLaws plays random weather and holds every verdict against the laws.
func TestLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m Memory
		var acc Accepted
		now := epochStart()
		step := genStep(t)
		for range rapid.IntRange(1, 60).Draw(t, "calls") {
			if rapid.Bool().Draw(t, "changes") {
				step = genStep(t)
			}
			now = now.Add(step.after)
			v := viewOf(step, now)
			var verdict Verdict
			m, verdict = Judge(m, v, acc, candidates(), now)
			lawful(t, v, acc, verdict)
			if verdict.Kind != None && rapid.Bool().Draw(t, "accepted") {
				acc = Accepted{Known: true, Address: verdict.Address, Epoch: verdict.Epoch, Rebased: verdict.Kind == Rebase}
			}
		}
	})
}

func lawful(t *rapid.T, v View, acc Accepted, got Verdict) {
	if got.Kind == None {
		return
	}
	voices, same := 0, 0
	for _, r := range v.Reports {
		if r.Seen && r.Address == got.Address {
			same++
			if r.Epoch == got.Epoch {
				voices++
			}
		}
	}
	i := slices.IndexFunc(v.Roles, func(r Role) bool { return r.Address == got.Address })
	role := ""
	if i >= 0 {
		role = v.Roles[i].Role
	}
	fail := func(law string) { t.Fatalf("%s: %+v from %+v, accepted %+v", law, got, v, acc) }
	if got.Kind != Rebase && !slices.Contains(candidates(), got.Address) {
		fail("only candidates are accepted")
	}
	if acc.Known == (got.Kind == Seed) {
		fail("seed is for the unknown, all else for the known")
	}
	switch got.Kind {
	case Seed:
		if role != RoleMaster || same < 2 {
			fail("seed needs majority and ROLE")
		}
	case Advance:
		if got.Epoch <= acc.Epoch || voices == 0 {
			fail("advance needs a higher epoch and a voice for it")
		}
		if role != RoleMaster && (role != RoleUnreachable || voices < 2) {
			fail("advance needs ROLE, or a majority when the node is unreachable")
		}
		if got.Address == acc.Address && voices < 2 {
			fail("the same address needs a majority")
		}
	case Resolve:
		if got.Epoch != acc.Epoch || got.Address == acc.Address || role != RoleMaster || voices < 2 || acc.Rebased {
			fail("resolve needs the accepted epoch, another address, majority and ROLE")
		}
	case Rebase:
		if got.Epoch >= acc.Epoch || got.Address != acc.Address {
			fail("rebase lowers the epoch and moves nothing")
		}
	}
}

// TestMergeLaws: own direct sight always wins, and nothing is invented.
func TestMergeLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := epochStart()
		own, peer := viewOf(genStep(t), now), viewOf(genStep(t), now)
		age := time.Duration(rapid.IntRange(0, 4000).Draw(t, "age")) * time.Millisecond
		peer.At = now.Add(-age)
		got := Merge(own, map[string]View{"p": peer}, now)
		for i, r := range got.Reports {
			if own.Reports[i].Seen && r != own.Reports[i] {
				t.Fatalf("own sight lost: %+v", r)
			}
			if r.Via == "p" && (age > PeerFreshFor || !peer.Reports[i].Seen || r.Address != peer.Reports[i].Address) {
				t.Fatalf("invented: %+v of %+v", r, peer.Reports[i])
			}
		}
		for i, r := range got.Roles {
			if (own.Roles[i].Role != "" && own.Roles[i].Role != RoleUnreachable) && r != own.Roles[i] {
				t.Fatalf("own role lost: %+v", r)
			}
		}
	})
}
