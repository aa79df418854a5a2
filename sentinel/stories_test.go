package sentinel

import "time"

const ms = time.Millisecond

func firstView() []story {
	return []story{
		{"first view by majority and ROLE", "", []at{{0, "a@4|a@4|-", "mss", "seed a@4", ""}}},
		{"first view needs a majority of the declared", "", []at{
			{0, "a@4|-|-", "mss", "none", ""},
			{3 * time.Second, "a@4|-|-", "mss", "none", "NO_SENTINEL_MAJORITY SENTINEL_UNREACHABLE"}}},
		{"first view needs ROLE", "", []at{
			{0, "a@4|a@4|a@4", "?ss", "none", ""},
			{ms, "a@4|a@4|a@4", "sss", "none", "ROLE_VETO"},
			{ms, "a@4|a@4|a@4", "-ss", "none", "NODE_UNREACHABLE"}}},
		{"first view of a stranger", "", []at{{0, "x@4|x@4|x@4", "mss", "none", "NOT_A_CANDIDATE"}}},
		{"first view with one that lies high", "", []at{{0, "a@4|a@4|a@99", "mss", "seed a@4", ""}}},
		{"first view in the middle of a failover", "", []at{
			{0, "a@0|a@0|b@1", "-ms", "none", "NODE_UNREACHABLE"},
			{ms, "b@1|a@0|b@1", "-ms", "seed b@1", ""}}},
	}
}

func advances() []story {
	return []story{
		{"one sentinel is enough", "a@0", []at{
			{0, "a@0|a@0|a@0", "mss", "none", ""},
			{ms, "a@0|b@1|a@0", "-ms", "advance b@1", ""},
			{ms, "b@1|b@1|a@0", "-ms", "none", ""}}},
		{"epochs have gaps", "a@3", []at{
			{0, "a@3|a@3|a@3", "mss", "none", ""},
			{ms, "a@3|c@9|a@3", "--m", "advance c@9", ""}}},
		{"ROLE is asked anew", "a@0", []at{
			{0, "a@0|a@0|a@0", "mss", "none", ""},
			{ms, "a@0|b@1|a@0", "-Ms", "none", ""},
			{ms, "a@0|b@1|a@0", "-ms", "advance b@1", ""}}},
		{"any other ROLE vetoes", "a@0", []at{
			{0, "b@1|b@1|b@1", "mss", "none", ""},
			{time.Second, "b@1|b@1|b@1", "mss", "none", "ROLE_VETO"},
			{ms, "b@1|b@1|b@1", "mSs", "none", "ROLE_VETO"},
			{ms, "b@1|b@1|b@1", "mms", "advance b@1", ""}}},
		{"unreachable node needs a majority", "a@0", []at{
			{0, "a@0|a@0|a@0", "mss", "none", ""},
			{ms, "b@1|a@0|a@0", "--s", "none", ""},
			{time.Second, "b@1|a@0|a@0", "--s", "none", "NODE_UNREACHABLE"},
			{ms, "b@1|a@0|b@1", "--s", "advance b@1", ""}}},
		{"two of three sentinels dead", "a@0", []at{
			{0, "a@0|-|-", "mss", "none", ""},
			{ms, "b@1|-|-", "-ms", "advance b@1", ""}}},
		{"same address with a higher epoch", "a@0", []at{
			{0, "a@0|a@0|a@0", "mss", "none", ""},
			{ms, "a@2|a@0|a@0", "mss", "none", ""},
			{ms, "a@2|a@2|a@0", "mss", "advance a@2", ""}}},
	}
}

func manyEpochs() []story {
	return []story{
		{"the highest epoch wins", "a@0", []at{
			{0, "a@0|a@0|a@0", "mss", "none", ""},
			{ms, "b@1|c@2|a@0", "-mm", "advance c@2", ""}}},
		{"a vetoed epoch does not hide a lower one", "a@0", []at{
			{0, "a@0|a@0|a@0", "mss", "none", ""},
			{ms, "b@1|b@1|c@9", "-ms", "advance b@1", ""}}},
		{"a second failover while one is behind", "a@0", []at{
			{0, "a@0|a@0|a@0", "mss", "none", ""},
			{ms, "b@1|a@0|a@0", "-ms", "advance b@1", ""},
			{ms, "b@1|c@2|a@0", "--m", "advance c@2", ""},
			{ms, "c@2|c@2|b@1", "--m", "none", ""}}},
		{"a stale report counts for nothing", "a@0", []at{
			{0, "a@0|a@0|a@0", "mss", "none", ""},
			{ms, "b@1 old|a@0|a@0", "-ms", "none", ""}}},
		{"a ROLE answer from before the claim is no veto", "a@0", []at{
			{0, "a@0|a@0|a@0", "mss", "none", ""},
			{ms, "c@2|b@1|b@1", "-mo", "none", ""},
			{ms, "c@2|b@1|b@1", "-mm", "advance c@2", ""}}},
		{"a lower epoch is ignored", "b@5", []at{{0, "a@4|b@5|b@5", "mms", "none", ""}}},
	}
}

func lies() []story {
	return []story{
		{"a stranger is never accepted", "a@0", []at{{0, "x@1|x@1|x@1", "-ss", "none", "NOT_A_CANDIDATE"}}},
		{"one that lies about the epoch of the present master", "a@0", []at{
			{0, "a@0|a@0|a@99", "mss", "none", ""},
			{5 * time.Second, "a@0|a@0|a@99", "mss", "none", "SENTINEL_ALONE"},
			// A real failover below the lie, and the old master's return.
			{time.Second, "b@1|a@0|a@99", "-ms", "advance b@1", "SENTINEL_ALONE"},
			{4 * time.Second, "b@1|b@1|a@99", "mms", "none", "SENTINEL_ALONE"},
			{6 * time.Second, "b@1|b@1|a@99", "mms", "none", "SENTINELS_DISAGREE SENTINEL_ALONE"},
			{ms, "b@1|b@1|b@1", "sms", "none", ""}}},
		{"a claim that was there before us", "b@1", []at{
			{0, "b@1|b@1|a@99", "mms", "none", ""},
			{2 * time.Second, "b@1|b@1|a@99", "mms", "none", ""},
			{5 * time.Second, "b@1|b@1|a@99", "mms", "none", "SENTINELS_DISAGREE SENTINEL_ALONE"}}},
		{"a true claim that was there before us", "a@0", []at{
			{0, "a@0|a@0|b@1", "-ms", "none", ""},
			{time.Second, "a@0|b@1|b@1", "-ms", "advance b@1", ""}}},
		{"a liar that was silent for a while", "a@0", []at{
			{0, "a@0|a@0|a@0", "mss", "none", ""},
			{ms, "a@0|a@0|a@99", "mss", "none", ""},
			{6 * time.Second, "a@0|a@0|a@99", "mss", "none", "SENTINEL_ALONE"},
			{ms, "b@1|b@1|-", "-ms", "advance b@1", ""},
			{time.Second, "b@1|b@1|a@99", "mms", "none", "SENTINEL_ALONE"}}},
		{"a liar can be believed again", "a@0", []at{
			{0, "a@0|a@0|b@9", "mss", "none", ""},
			{6 * time.Second, "a@0|a@0|b@9", "mss", "none", "SENTINELS_DISAGREE SENTINEL_ALONE"},
			{ms, "a@0|a@0|a@0", "mss", "none", ""},
			{ms, "a@0|a@0|b@1", "-ms", "advance b@1", ""}}},
	}
}

func conflicts() []story {
	return []story{
		{"conflict with the accepted", "b@1", []at{
			{0, "b@1|b@1|b@1", "-mm", "none", ""},
			{ms, "c@1|b@1|b@1", "-mm", "none", "EPOCH_CONFLICT"},
			{6 * time.Second, "c@1|b@1|b@1", "-mm", "none", "EPOCH_CONFLICT SENTINELS_DISAGREE"},
			{ms, "c@1|c@1|b@1", "-mm", "none", "EPOCH_CONFLICT SENTINELS_DISAGREE"},
			{4 * time.Second, "c@1|c@1|b@1", "-mm", "none", "EPOCH_CONFLICT SENTINELS_DISAGREE"},
			{time.Second, "c@1|c@1|b@1", "-mm", "resolve c@1", "EPOCH_CONFLICT SENTINELS_DISAGREE"}}},
		{"a conflict held with an interruption", "b@1", []at{
			{0, "c@1|c@1|b@1", "-mm", "none", "EPOCH_CONFLICT"},
			{4 * time.Second, "c@1|b@1|b@1", "-mm", "none", "EPOCH_CONFLICT"},
			{500 * ms, "c@1|c@1|b@1", "-mm", "none", "EPOCH_CONFLICT"},
			{4900 * ms, "c@1|c@1|b@1", "-mm", "none", "EPOCH_CONFLICT SENTINELS_DISAGREE"},
			{100 * ms, "c@1|c@1|b@1", "-mm", "resolve c@1", "EPOCH_CONFLICT SENTINELS_DISAGREE"}}},
		{"a conflict without ROLE", "b@1", []at{
			{0, "c@1|c@1|c@1", "-ms", "none", "EPOCH_CONFLICT"},
			{20 * time.Second, "c@1|c@1|c@1", "-ms", "none", "EPOCH_CONFLICT"}}},
		{"a conflict above the accepted", "a@0", []at{
			{0, "a@0|a@0|a@0", "mss", "none", ""},
			{ms, "b@1|c@1|c@1", "mmm", "none", "EPOCH_CONFLICT"},
			{5 * time.Second, "b@1|c@1|c@1", "mmm", "advance c@1", "EPOCH_CONFLICT SENTINELS_DISAGREE"}}},
		{"seeds that differ stay split at epoch 0", "a@0", []at{
			{0, "a@0|b@0|c@0", "mmm", "none", "EPOCH_CONFLICT"},
			{20 * time.Second, "a@0|b@0|c@0", "mmm", "none", "EPOCH_CONFLICT SENTINELS_DISAGREE"}}},
	}
}

func regressions() []story {
	return []story{
		{"behind is not regressed", "a@0", []at{
			{0, "a@0|a@0|a@0", "mss", "none", ""},
			{ms, "b@1|a@0|a@0", "-ms", "advance b@1", ""},
			{ms, "-|a@0|a@0", "-ms", "none", ""}, // the leading Sentinel dies
			{60 * time.Second, "-|a@0|a@0", "-ms", "none", "SENTINELS_BEHIND SENTINEL_UNREACHABLE"}}},
		{"all wiped", "b@3", []at{
			{0, "b@3|b@3|b@3", "sms", "none", ""},
			{ms, "a@0 id2|b@3|b@3", "sms", "none", ""},
			{time.Second, "a@0 id2|a@0 id2|b@3", "sms", "none", "EPOCH_REGRESSED"},
			{time.Second, "a@0 id2|a@0 id2|a@0 id2", "sms", "none", "EPOCH_REGRESSED"},
			{8900 * ms, "a@0 id2|a@0 id2|a@0 id2", "sms", "none", "EPOCH_REGRESSED"},
			{1100 * ms, "a@0 id2|a@0 id2|a@0 id2", "sms", "rebase b@0", "EPOCH_REGRESSED SENTINELS_BEHIND"},
			// The address stays, however long; the next epoch moves it.
			{20 * time.Second, "a@0 id2|a@0 id2|a@0 id2", "sms", "none", "ADDRESS_DIFFERS"},
			{time.Second, "a@0 id2|c@1 id2|a@0 id2", "ssm", "advance c@1", ""},
			{ms, "a@0 id2|c@1 id2|a@0 id2", "ssm", "none", ""}}},
		{"wiped while we were away", "b@3", []at{
			// Nothing tells these from Sentinels that are merely behind.
			{0, "a@0|a@0|a@0", "sms", "none", ""},
			{30 * time.Second, "a@0|a@0|a@0", "sms", "none", "SENTINELS_BEHIND"},
			// Moving on below the accepted epoch does.
			{time.Second, "c@1|c@1|c@1", "ssm", "none", "EPOCH_REGRESSED SENTINELS_BEHIND"},
			{10 * time.Second, "c@1|c@1|c@1", "ssm", "rebase b@1", "EPOCH_REGRESSED SENTINELS_BEHIND"}}},
	}
}

func notRegressed() []story {
	return []story{
		{"one that still holds it forbids the rebase", "b@3", []at{
			{0, "b@3|b@3|b@3", "sms", "none", ""},
			{ms, "a@0 id2|a@0 id2|b@3", "sms", "none", "EPOCH_REGRESSED"},
			{2 * time.Second, "b@3 id2|b@3 id2|b@3", "sms", "none", ""}}},
		{"a wiped one that caught up is as good as new", "b@3", []at{
			{0, "b@3|b@3|b@3", "sms", "none", ""},
			{ms, "a@0 id2|b@3|b@3", "sms", "none", ""},
			{ms, "a@0 id2|a@0 id2|b@3", "sms", "none", "EPOCH_REGRESSED"},
			{ms, "b@3 id2|b@3 id2|b@3", "sms", "none", ""},
			{ms, "b@3 id2|b@3 id2|c@4", "--m", "advance c@4", ""},
			{ms, "b@3 id2|b@3 id2|c@4", "--m", "none", ""}}},
		{"a new id is enough", "b@3", []at{
			{0, "b@3|a@2|a@2", "sms", "none", ""},
			{ms, "-|a@0 id2|a@0 id2", "sms", "none", "EPOCH_REGRESSED"}}},
		{"behind at a high epoch is not regressed", "a@5", []at{
			{0, "a@5|a@5|a@5", "mss", "none", ""},
			{ms, "b@6|a@5|a@5", "-ms", "advance b@6", ""},
			{ms, "b@6|a@5|a@5", "-ms", "none", ""}}},
		{"regressed without agreement", "b@3", []at{
			{0, "b@3|b@3|b@3", "sms", "none", ""},
			{ms, "a@0|c@0|a@0", "sms", "none", "EPOCH_REGRESSED"},
			{30 * time.Second, "a@0|c@0|a@0", "sms", "none", "EPOCH_REGRESSED SENTINELS_BEHIND SENTINELS_DISAGREE"}}},
		{"a liar does not hold the base up", "a@99", []at{
			{0, "a@0|a@0|a@99", "mss", "none", ""},
			{20 * time.Second, "a@0|a@0|a@99", "mss", "none", "SENTINELS_BEHIND"},
			{time.Second, "b@1|b@1|a@99", "-ms", "none", "EPOCH_REGRESSED SENTINELS_BEHIND"},
			{10 * time.Second, "b@1|b@1|a@99", "-ms", "rebase a@1", "EPOCH_REGRESSED SENTINELS_BEHIND SENTINELS_DISAGREE"}}},
		{"a difference after a rebase is not a conflict", "b@0 rebased", []at{
			{0, "a@0|a@0|a@0", "mms", "none", "ADDRESS_DIFFERS"},
			{10 * time.Second, "a@0|a@0|a@0", "mms", "none", "ADDRESS_DIFFERS"}}},
	}
}

func roleAlone() []story {
	return []story{
		{"role master alone never counts", "a@0", []at{
			{0, "a@0|a@0|a@0", "-ms", "none", ""},
			{2900 * ms, "a@0|a@0|a@0", "-ms", "none", ""},
			{100 * ms, "a@0|a@0|a@0", "-ms", "none", "PROMOTED_UNANNOUNCED"},
			{60 * time.Second, "a@0|a@0|a@0", "-ms", "none", "PROMOTED_UNANNOUNCED"}}},
		{"an old master that returned", "b@1", []at{
			{0, "b@1|b@1|b@1", "mms", "none", ""},
			{10 * time.Second, "b@1|b@1|b@1", "mms", "none", ""}}},
	}
}

func warnings() []story {
	return []story{
		{"disagreement", "b@1", []at{
			{0, "a@0|b@1|b@1", "-ms", "none", ""},
			{5 * time.Second, "a@0|b@1|b@1", "-ms", "none", "SENTINELS_DISAGREE"}}},
		{"tilt", "a@0", []at{{0, "a@0 tilt|a@0|a@0", "mss", "none", "SENTINEL_TILT"}}},
		{"another number of sentinels", "a@0", []at{
			{0, "a@0 others=3|a@0|a@0", "mss", "none", ""},
			{10 * time.Second, "a@0 others=3|a@0|a@0", "mss", "none", "SENTINEL_COUNT"}}},
		{"one silent sentinel", "a@0", []at{
			{0, "a@0|a@0|-", "mss", "none", ""},
			{3 * time.Second, "a@0|a@0|-", "mss", "none", "SENTINEL_UNREACHABLE"}}},
	}
}
