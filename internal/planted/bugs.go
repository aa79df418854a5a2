package planted

// Variable is the environment variable that names the bug to play; empty:
// none. Only a build with the tag mutants reads it.
const Variable = "POINTSMAN_MUTANT"

// Name of a planted bug.
type Name string

// The planted bugs, in the order of the table.
const (
	// Redis and the Sentinels.
	RoleAlone           Name = "role-alone"
	ConflictAccepted    Name = "conflict-accepted"
	UnreachableAccepted Name = "unreachable-accepted"
	FirstViewRuns       Name = "first-view-runs"

	// The log.
	SkipBarrier       Name = "skip-barrier"
	VerifyLeader      Name = "verify-leader"
	TornVote          Name = "torn-vote"
	NoDedupe          Name = "no-dedupe"
	ClaimAnyTerm      Name = "claim-any-term"
	SettleAnyTerm     Name = "settle-any-term"
	NoWriteDeadline   Name = "no-write-deadline"
	StoreUnidentified Name = "store-unidentified"

	// One value at a time.
	SkipWindow          Name = "skip-window"
	FreeInDoubt         Name = "free-in-doubt"
	FreeAtSettle        Name = "free-at-settle"
	FreeWhenSuperseded  Name = "free-when-superseded"
	SpanFromGrant       Name = "span-from-grant"
	BlindTakenOver      Name = "blind-taken-over"
	NoSupersede         Name = "no-supersede"
	TransferWithoutRest Name = "transfer-without-rest"

	// Look before and after.
	SkipInspect    Name = "skip-inspect"
	StaleWarmUp    Name = "stale-warm-up"
	VersionReread  Name = "version-reread"
	MarkerIgnored  Name = "marker-ignored"
	StagedIsDone   Name = "staged-is-done"
	CountIsProof   Name = "count-is-proof"
	TaskUnfollowed Name = "task-unfollowed"
	JoinRunning    Name = "join-running"
	DriftUnwatched Name = "drift-unwatched"

	// Leases.
	LeaseEndsEarly     Name = "lease-ends-early"
	RenewalUnconfirmed Name = "renewal-unconfirmed"
	TTLNotAnew         Name = "ttl-not-anew"
	PoolNotHeldBack    Name = "pool-not-held-back"
	CheckpointAnyToken Name = "checkpoint-any-token"
)

// Entry of the table: the guard that is taken out, and the guarantee that it
// serves (ARCHITECTURE.md), or "leases" for what docs/leases.md promises.
type Entry struct {
	Name      Name
	Guard     string
	Guarantee string
}

// Bugs is the table.
func Bugs() []Entry {
	return []Entry{
		{RoleAlone, "a node that says role:master is nobody's master until a Sentinel's epoch rises", "G1"},
		{ConflictAccepted, "another address at the accepted epoch waits for a majority and ROLE, for 5 s", "G1"},
		{UnreachableAccepted, "a candidate that does not answer ROLE needs a majority", "G1"},
		{FirstViewRuns, "the first view of a master seeds its address and runs nothing", "G1"},

		{SkipBarrier, "a linearizable read passes a barrier; believing to lead is not enough", "G9"},
		{VerifyLeader, "that barrier is an entry of the log, not raft's VerifyLeader", "G9"},
		{TornVote, "term and candidate of a vote reach the disk in one record", "G5"},
		{NoDedupe, "a command that is proposed twice gets the first answer", "G5"},
		{ClaimAnyTerm, "a claim is proposed by the process that will act, and void in any other term", "G2"},
		{SettleAnyTerm, "a settlement is proposed in the term of its attempt, and names the claim's token", "G5"},
		{NoWriteDeadline, "a write that hangs ends the node, so that another leads", "G8"},
		{StoreUnidentified, "a node whose store is not the one that the cluster knows is not let in", "G5"},

		{SkipWindow, "another value waits until a silent claim's window has run out", "G3"},
		{FreeInDoubt, "a request without a clear answer keeps its object busy", "G3"},
		{FreeAtSettle, "settling an action does not free its object", "G3"},
		{FreeWhenSuperseded, "superseding an action does not free its object", "G3"},
		{SpanFromGrant, "a holder counts its span from before it proposed the claim", "G3"},
		{BlindTakenOver, "a blind write whose claimant died goes to a human", "G6"},
		{NoSupersede, "a newer failover ends what is open of the one before", "G7"},
		{TransferWithoutRest, "a leader stops claiming and finishes before it hands over", "G3"},

		{SkipInspect, "the object is read before a write; as wanted, or newer, means no write", "G4"},
		{StaleWarmUp, "a reading older than 2 s is no look before a write", "G4"},
		{VersionReread, "the version that a compare-and-swap names was read before the claim", "G4"},
		{MarkerIgnored, "a marker of a newer failover or another cluster is never overwritten", "G7"},
		{StagedIsDone, "what the provider stored is not in effect until a refresh is done", "G4"},
		{CountIsProof, "after a write of ours a refresh is owed, whatever the provider's count says", "G4"},
		{TaskUnfollowed, "a refresh is done when the provider's task is", "G4"},
		{JoinRunning, "an action waits for a refresh that was claimed after its value was staged", "G4"},
		{DriftUnwatched, "what is done is read again, and a late write repaired", "G6"},

		{LeaseEndsEarly, "the leader counts a lease longer than its worker does", "leases"},
		{RenewalUnconfirmed, "a renewal is answered after a barrier that was proposed when it had come", "leases"},
		{TTLNotAnew, "a new leader gives every lease its whole ttl", "leases"},
		{PoolNotHeldBack, "the entry that accepts a failover holds back the pools of its master", "leases"},
		{CheckpointAnyToken, "a checkpoint is taken from the holder under its current token only", "leases"},
	}
}

// Known reports whether a bug of that name, or no name, can be asked for.
func Known(name string) bool {
	for _, b := range Bugs() {
		if name == string(b.Name) {
			return true
		}
	}
	return name == ""
}
