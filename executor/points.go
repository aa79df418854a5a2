package executor

// point names a moment between Observe and Settle at which a crash must leave
// one effect. A test build dies there on demand; see failpoint_on.go.
type point string

// The crash points, in the order in which an action passes them.
const (
	beforeObserve point = "before-observe" // the switch is seen, nothing proposed
	proposing     point = "proposing"      // Observe or a claim of its own is on its way, the answer is not in
	observed      point = "observed"       // Observe and its claims are committed
	beforeClaim   point = "before-claim"   // a claim of its own is not yet proposed
	claimed       point = "claimed"        // that claim is committed
	looked        point = "looked"         // the last check before the request is done
	acted         point = "acted"          // the answer is in, nothing logged
	released      point = "released"       // Release is committed
	readBack      point = "read-back"      // the read after the write is done
	beforeSettle  point = "before-settle"  // Settle is not yet proposed
	settling      point = "settling"       // Settle is on its way, the answer is not in
	settled       point = "settled"        // Settle is committed
	followed      point = "followed"       // the provider's task is known to be done

	asked point = "asked" // a request for a switchover is committed, and not sent: "switchover.asked"
)
