package main

import "github.com/pointsman/pointsman/internal/planted"

// The packages whose tests catch.
const (
	sim      = "./test/sim"
	chaos    = "./test/chaos"
	cluster  = "./cluster"
	executor = "./executor"
	fsm      = "./fsm"
	ovh      = "./actuators/ovh"
	sentinel = "./sentinel"
)

// pair is who must notice: a test near the guard, and a judge of the whole.
type pair struct{ near, whole catcher }

func test(pkg, run string, args ...string) catcher {
	return catcher{pkg: pkg, run: "^(" + run + ")$", args: args}
}

func seeds(known ...uint64) catcher {
	return catcher{pkg: sim, run: "^TestSim$", seeds: known}
}

// both: one test is near and judges a whole part.
func both(c catcher) pair { return pair{c, c} }

// catchers names them. Where the judge is neither test/sim nor test/chaos, the
// reason stands beside it.
func catchers() map[planted.Name]pair {
	reads := test(cluster, "TestLinearizable")
	paused := test(chaos, "TestPausedLeaderReads", "-chaos.pauses=40")
	return map[planted.Name]pair{
		planted.RoleAlone:        {test(sentinel, "TestStories|TestLaws"), seeds(1, 10)},
		planted.ConflictAccepted: {test(sentinel, "TestStories|TestLaws"), seeds(1, 2, 9)},
		// The model of the Sentinels has no candidate that lies dead under a forged epoch.
		planted.UnreachableAccepted: both(test(sentinel, "TestStories|TestLaws")),
		planted.FirstViewRuns:       {test(fsm, "TestObserve.*|TestG1_.*"), seeds(1, 2, 3)},

		planted.SkipBarrier:  {reads, paused},
		planted.VerifyLeader: {test(cluster, "TestSharedBarrier|TestLinearizable"), paused},
	}
}
