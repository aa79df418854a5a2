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
	leases   = "./leases"
)

// pair is who must notice: a test near the guard (none where the judge is as
// near as it gets), and a judge of the whole.
type pair struct{ near, whole catcher }

func test(pkg, run string, args ...string) catcher {
	return catcher{pkg: pkg, run: "^(" + run + ")$", args: args}
}

// seeds is the whole cluster in virtual time, with the seeds that are known to catch.
func seeds(known ...uint64) catcher {
	return catcher{pkg: sim, run: "^TestSim$", seeds: known}
}

// objects is the simulation of what the whole cluster's provider has not: one
// object of each class, leaders that stand still between two calls, hand-overs.
func objects(known ...uint64) catcher {
	return catcher{pkg: sim, run: "^TestClasses$", seeds: known}
}

// catchers names them. Where the judge is neither test/sim nor test/chaos, the
// reason stands beside it.
func catchers() map[planted.Name]pair {
	all := map[planted.Name]pair{}
	for _, some := range []map[planted.Name]pair{ofTheView(), ofTheLog(), ofTheObject(), ofTheLook(), ofTheLeases()} {
		for name, p := range some {
			all[name] = p
		}
	}
	return all
}

func ofTheView() map[planted.Name]pair {
	return map[planted.Name]pair{
		planted.RoleAlone:        {test(sentinel, "TestAcceptance_RoleMasterAloneNeverCounts"), seeds(10, 1)},
		planted.ConflictAccepted: {test(sentinel, "TestAcceptance_Conflict"), seeds(2, 1)},
		// No plan of the simulation has a candidate that lies dead under a forged epoch; drawn views have.
		planted.UnreachableAccepted: {test(sentinel, "TestAcceptance_Advance"), test(sentinel, "TestLaws")},
		planted.FirstViewRuns:       {test(fsm, "TestAcceptance_FirstViewSeedsAtAnyEpochAndRunsNothing"), seeds(1)},
	}
}

func ofTheLog() map[planted.Name]pair {
	stood := catcher{pkg: sim, run: "^TestStoodStill$", seeds: []uint64{1}}
	paused := test(chaos, "TestPausedLeaderReads", "-chaos.pauses=40")
	return map[planted.Name]pair{
		planted.SkipBarrier: {stood, paused},
		// A process that was stopped shows it in one pause of some forty: the lease's timer mostly wakes first.
		planted.VerifyLeader: {catcher{}, stood},
		// A power cut between two writes of one vote is below what the simulation's disk tells apart.
		planted.TornVote: {test(cluster, "TestVoteIsOneRecord"), test(cluster, "TestG5_TornVoteGivesNoSecondVote")},
		// Nothing that the simulation proposes is wrong when it is done twice; a client's write is.
		planted.NoDedupe:      {test(fsm, "TestRepeatedCommandGetsFirstAnswer"), test(cluster, "TestDedupe")},
		planted.ClaimAnyTerm:  {test(fsm, "TestG2_ClaimOfAnotherTermIsRefused"), test(cluster, "TestClaimsStayHome")},
		planted.SettleAnyTerm: {test(fsm, "TestLife_SettleAndReleaseNameTheToken"), objects(16, 19, 73)},
		// Both places of an identity are lost together in the simulation, and seldom; here each is lost alone.
		planted.StoreUnidentified: {catcher{}, test(cluster, "TestSwappedStore")},
		planted.NoWriteDeadline:   {test(cluster, "TestWriteDeadline"), test(cluster, "TestLeaderDiskHangs")},
	}
}

func ofTheObject() map[planted.Name]pair {
	held := test(executor, "TestWindows_HolderCountsFromBeforeProposing")
	drained := test(executor, "TestWindows_LeaderStopsClaimingBeforeATransfer")
	blind := test(executor, "TestLife_DeadHoldersBlindActionIsStuckAtOnce")
	return map[planted.Name]pair{
		planted.SkipWindow:          {test(executor, "TestG3_NewerValueWaitsForADeadClaimsWindow"), seeds(7)},
		planted.FreeInDoubt:         {test(executor, "TestLife_RetryAfterDoubtWaits"), seeds(12, 13, 15)},
		planted.FreeAtSettle:        {test(fsm, "TestG3_SettlingDoesNotFreeTheObject"), seeds(2)},
		planted.FreeWhenSuperseded:  {test(fsm, "TestG3_SupersedingDoesNotFreeTheObject"), seeds(4, 7)},
		planted.NoSupersede:         {test(fsm, "TestG7_OlderFailoverCannotActOnceANewerIsAccepted"), seeds(10, 11)},
		planted.SpanFromGrant:       {held, objects(81)},
		planted.TransferWithoutRest: {drained, objects(3, 1)},
		planted.BlindTakenOver:      {blind, objects(6)},
	}
}

func ofTheLook() map[planted.Name]pair {
	return map[planted.Name]pair{
		planted.SkipInspect:   {test(executor, "TestG4_WhatStandsAsWantedIsNotWritten"), seeds(20, 24, 27)},
		planted.StaleWarmUp:   {test(executor, "TestG4_WarmUpReadCountsForTwoSeconds"), seeds(53, 56, 60)},
		planted.VersionReread: {catcher{}, objects(20)},
		// One cluster's log lets no older failover act, so the simulation has no marker to respect; the
		// provider's other users have. The suite plays them against the simulated API and counts there.
		planted.MarkerIgnored:  {catcher{}, test(ovh, "TestConformance")},
		planted.StagedIsDone:   {test(executor, "TestG6_OneEffectWhereverTheLeaderDies"), seeds(1, 2, 3)},
		planted.TaskUnfollowed: {test(executor, "TestG8_HungTaskDoesNotHoldTheNextFailover"), seeds(1, 2, 3)},
		planted.CountIsProof:   {test(ovh, "TestAppliedNeedsARefresh"), seeds(2, 3, 5)},
		planted.JoinRunning:    {test(fsm, "TestStaged_RefreshIsSharedUntilClaimedAndNeverWaits"), seeds(1, 23)},
		planted.DriftUnwatched: {test(executor, "TestDrift_OfAStaleWriteIsRepaired"), seeds(74, 79)},
	}
}

func ofTheLeases() map[planted.Name]pair {
	return map[planted.Name]pair{
		planted.LeaseEndsEarly: {test(leases, "TestExpiryIsCountedInFull"), test(leases, "TestOneBeliever")},
		// In a hundred seeds no worker reached a deposed leader that believed; a leader without a quorum shows it at once.
		planted.RenewalUnconfirmed: {test(leases, "TestADeposedLeaderConfirmsNothing"), test(leases, "TestQuorumLost")},
		planted.TTLNotAnew:         {test(leases, "TestLeaderChangeInRenew"), seeds(9)},
		planted.PoolNotHeldBack:    {test(fsm, "TestLease_SeveralPoolsOfAMaster"), seeds(1)},
		planted.CheckpointAnyToken: {test(fsm, "TestCheckpoint_IsTheHoldersAlone"), seeds(9, 36, 53, 55)},
	}
}
