package fault

// Reason is what a user may meet as the word in brackets behind an error, or
// as the code of an alert: its cause, and what helps. docs/errors.md is
// written from these tables.
type Reason struct {
	Word  string
	Cause string
	Cure  string
	Next  string // what to type, behind an error's "try"; empty when the cause says it all
}

// Reasons lists the words behind errors, by name. A test holds them against
// those of the API and of the state machine.
//
// size: one table, a line for each word.
func Reasons() []Reason {
	leaderless := "pointsman status; nothing is changed without a leader, reads answer with --consistency stale"
	reread := "read it again and decide anew: somebody else changed it meanwhile"
	shown := "pointsman actions show, to see how it stands now"
	return []Reason{
		{"ALREADY_MASTER", "The address that `--to` names is the master already.", "Nothing to do; without `--to` Sentinel picks a replica.", ""},
		{"BACKOFF", "The delay after a failed attempt has not run out.", "Wait, or end the delay with `pointsman actions retry`.", "pointsman actions show, to see when it is tried again"},
		{"BAD_SPEC", "The spec contradicts itself.", "Correct the places named; `pointsman spec validate FILE` finds them without a cluster.", "pointsman spec validate FILE"},
		{"BLIND", "The action's kind can neither be read back nor be repeated safely, and its outcome is unknown.", "Look at the provider yourself, then retry or abandon it.", shown},
		{"CANCELLED", "The caller went away before the answer.", "Repeat the call.", ""},
		{"CHECKPOINT_VERSION", "A checkpoint was to be saved under a version that is not the current one and one; the message names it.", "Read the checkpoint, see whether it is your own, and go on from its version.", ""},
		{"CLUSTER_EXISTS", "A node tried to found a cluster that has an identity already.", "Nothing to do for a user: the node goes on as a member.", ""},
		{"COMPACTED", "The history that a watch was to go on from is gone.", "Begin the watch again without its token: it lists what there is, then follows.", "start the watch again: it lists what there is, then follows"},
		{"CROSS_ORIGIN", "A browser called the HTTP API from a page of another origin.", "Call it from the node's own pages, or from a program that is no browser.", ""},
		{"DEADLINE_EXCEEDED", "The call's own time was up before the answer.", "Raise `--timeout`, or see with `pointsman status` whether there is a leader.", nextNoAnswer},
		{"EPOCH", "An observation's config-epoch or address does not fit its kind.", "Nothing to do for a user: the nodes look again.", ""},
		{"FAILOVER_RUNNING", "A Sentinel leads a failover of the master, its Sentinels voted a moment ago, or a second node answers as master.", "Wait until it has ended: `pointsman failovers watch`.", "pointsman failovers watch"},
		{"INTERNAL", "A mistake of ours.", "Report it, with the node's log lines around it.", "the log of the node that answered says more; please report it"},
		{"INVALID_ARGUMENT", "The request is wrong; each problem is named with its field.", "Correct the fields named.", ""},
		{"LEADER_UNREACHABLE", "The node that was asked knows the leader and does not reach it.", "Ask another endpoint; look at the network between the nodes.", leaderless},
		{"LEASES_HELD", "Partitions are held, or still locked, that would have to be free for this.", "See who has them: `pointsman leases list`. Stop their workers, or wait until they have lapsed.", ""},
		{"LEASE_FENCED", "The token is not that of the partition's current holder: it was granted anew, or is about to be.", "The worker stops all work under that token at once; its next renewal tells what it holds.", ""},
		{"LIMIT", "A bound of ours would be exceeded; it is named.", "Remove what is not needed, or split it.", ""},
		{"LOG_CORRUPT", "An entry of this node's log does not hold when it is read back from the disk.", "Take the node out of service and look at its disk; the other nodes hold the log.", "take this node out of service and look at its disk; the other nodes hold the log"},
		{"MASTER_DOWN", "A Sentinel takes the master for down, or it does not answer this node as master.", "A switchover is for a master that is well: its Sentinels will act by themselves, or `pointsman masters show` tells why not.", "pointsman masters show"},
		{"MASTER_UNSEEN", "No majority of the master's Sentinels has been seen since it was declared.", "See what they say: `pointsman masters show`.", "pointsman masters show"},
		{"METHOD_NOT_ALLOWED", "The HTTP path exists, but not for this method.", "Look up the method: the OpenAPI file and `docs/api.md` list the calls.", ""},
		{"NODE_BEHIND", "The node has not reached the place that a token names: it was asked right after another, newer node.", "Repeat the call; a node that stays behind shows in `pointsman nodes list`.", "the same command in a moment, or another endpoint"},
		{"NOT_A_CANDIDATE", "An address is not among the master's candidates in the spec.", "Add it to `candidates` and apply, or find out why a Sentinel names it.", "pointsman spec get, to see the candidates"},
		{"NOT_FOUND", "There is nothing of that name.", "The matching `list` command shows what there is.", ""},
		{"NOT_HOLDER", "A late word of another attempt: its claim is not the current one; or a repeat of a request for a switchover that is long over.", "Nothing to do for a user: the current attempt goes on.", ""},
		{"NOT_LEADER", "The call needs the leader and was not passed on, for instance while the leadership moves.", "Repeat it in a second; the leader's address stands in the error's metadata.", leaderless},
		{"NOT_THE_PICK", "Sentinel cannot be told whom to promote, and would promote another replica than the one that `--to` names, or may.", "Type the commands that stand in the message, wait 10 s for Sentinel's next INFO, and try again; or leave `--to` out.", "the commands above, or pointsman switchover without --to"},
		{"NO_FIT_VOTER", "No other node may take the leadership over: none is reachable, above its disk floor and in touch with the providers.", "See why in the notes of `pointsman nodes list -o wide`.", "pointsman nodes list -o wide, to see why no other node is fit"},
		{"NO_GOOD_REPLICA", "Sentinel would promote no replica; why stands beside each.", "Mend the replicas named.", ""},
		{"NO_QUORUM", "No leader has a majority of the nodes: nothing new is begun and nothing is undone.", "Bring nodes back until a majority runs; `pointsman status` shows which are missing.", leaderless},
		{"NO_SENTINEL_MAJORITY", "Too few of the declared Sentinels answer and name the accepted master at its epoch.", "Bring them back; `pointsman masters show` tells what each says.", "pointsman masters show"},
		{"OBJECT_BUSY", "Another action holds the object, or a request of it may still be on its way.", "Wait for the window shown by `pointsman actions show`.", shown},
		{"OLD_MEMBER", "A node runs an older release, which could not read this in the log.", "Bring every node to the same release: `pointsman nodes list` shows them.", "pointsman nodes list, to see which node is older"},
		{"OPEN_ACTIONS", "The spec removes a master or target that has open actions, or a switchover is asked while the last failover has some.", "Let them finish; retry or abandon stuck ones first: `pointsman actions list --open`.", "pointsman actions list --open; retry or abandon them first"},
		{"OUTCOME_UNKNOWN", "The leader changed while the command was being logged: it may have been carried out or not.", "Look whether it was done before you repeat it. Programs repeat with the same request_id, which is safe.", "look whether it was done before you repeat it; pointsman status shows who leads now"},
		{"OWNED_BY_PLAN", "A step of a plan writes this setting: the next failover would undo your change.", "Change the step in the spec.", "pointsman spec get, to see the step that writes this key"},
		{"PEER_ONLY", "The call is for coordinators among themselves.", "Use another call: `docs/api.md` lists them.", ""},
		{"PICK_NOT_A_CANDIDATE", "Sentinel may promote a replica that the spec does not declare: its failover would not be accepted.", "Declare it among the `candidates`, or set its replica-priority to 0.", "pointsman spec get, to see the candidates"},
		{"PLAN_MISMATCH", "An observation was rendered from another plan than the current one.", "Nothing to do for a user: it is rendered anew.", ""},
		{"POOL_SUSPENDED", "Nothing is granted from the pool now: a failover of its master is being carried out, or the master has had no first view.", "Nothing at first. If it stays: `pointsman actions list --open` shows what the step that moves the pool waits for.", "pointsman actions list --open"},
		{"REASON_MISSING", "A human's decision needs a reason; it is kept in the log.", "Add `--reason TEXT`.", "add --reason TEXT; it is kept in the log"},
		{"REPLICA_LAGS", "The replica that Sentinel would promote is further behind its master than allowed.", "Wait until it has caught up, or allow more with `--max-lag`: what it has not received is lost.", "--max-lag BYTES allows more, which may be lost"},
		{"REPLICA_UNHEALTHY", "The replica that Sentinel would promote does not follow its master, or has not heard it for a while.", "Mend its link; `redis-cli INFO replication` there tells more.", ""},
		{"REPLICA_UNLISTED", "A Sentinel knows replicas that it does not list (`replica-announced no`), so nobody can tell whom it would promote.", "Announce them (`CONFIG SET replica-announced yes`) until it is done.", ""},
		{"REPORT_REFUSED", "A node's report came from a stranger, too late, or was too large.", "Nothing to do when it passes; a node that stays refused shows in `pointsman nodes list`.", ""},
		{"REQUEST_TOO_LARGE", "The HTTP body or header is larger than the node takes.", "Send less at once, or split it.", ""},
		{"SENTINELS_DISAGREE", "A Sentinel names another address than the accepted one, or a newer epoch.", "Wait until the failover is accepted, or find out which is right: `pointsman masters show`.", "pointsman masters show"},
		{"SENTINEL_NOPERM", "The Sentinel's ACL does not allow SENTINEL FAILOVER to the user that asks.", "Give it +sentinel|failover, or name another user in the spec's `sentinel.switchover`.", ""},
		{"SENTINEL_QUORUM", "A Sentinel cannot reach its own quorum or majority (SENTINEL CKQUORUM).", "Bring Sentinels back, or correct the quorum in their configuration.", "pointsman masters show"},
		{"SENTINEL_REFUSED", "The Sentinel that was asked for a switchover said no, or the request was not sent after all; why stands beside it. Nothing was begun.", "NOGOODSLAVE: it found no replica fit. INPROG: it was faster. Look at `pointsman masters show`, then ask again.", "pointsman masters show"},
		{"SENTINEL_TILT", "A Sentinel has stopped judging, for 30 s after its clock jumped or it was paused.", "Wait half a minute.", "the same command in half a minute"},
		{"SHUTTING_DOWN", "The node that was asked is stopping.", "Repeat the call: another endpoint answers.", "the same command again: another node answers"},
		{"SLOW_CONSUMER", "A watcher did not take its messages in time.", "Begin the watch again from its last token, and read faster.", "start the watch again"},
		{"STAGE_CLOSED", "An earlier stage of the plan has open actions.", "See which: `pointsman actions list --open`.", "pointsman actions list --open"},
		{"STALE_BASE", "Another failover of the master was accepted meanwhile.", "Nothing to do for a user: the nodes look again.", reread},
		{"STALE_REVISION", "It was built on a revision that is no longer the current one.", "Read it again and decide anew: somebody else changed it meanwhile.", reread},
		{"STALE_TERM", "A claim of a former leader came too late.", "Nothing to do for a user: the new leader goes on.", ""},
		{"STORE_MISMATCH", "A node came with another store than the cluster knows for it: its data folder was emptied or swapped.", "Put the folder back, or replace the node; never delete it to make the message go away.", "put the data folder back"},
		{"SWITCHOVER_RUNNING", "A human asked for a switchover of the master, and it may still be running.", "Follow it: `pointsman failovers watch`. If no failover comes of it, it is over in the time named.", "pointsman failovers watch"},
		{"TOO_MANY_STREAMS", "The node serves as many watches as it may.", "Close watches that nobody reads, or watch another node.", "the same command in a moment, or another endpoint"},
		{"TOO_STALE", "The node's state is older than the read allows.", "Ask the leader, or another node.", "pointsman status; another endpoint, or --consistency stale for an answer of any age"},
		{"UNKNOWN", "The command names a master, failover, action or setting that is not there.", "The matching `list` command shows what there is.", ""},
		{"WRONG_PHASE", "The action stands where the command makes no sense: it is claimed or final, for instance.", "See how it stands now: `pointsman actions show`.", shown},
	}
}

// Alerts lists the codes of alerts, by name, as status and masters show them.
func Alerts() []Reason {
	return []Reason{
		{Word: "ACTION_IN_DOUBT", Cause: "A request got no clear answer and no read has resolved that yet.", Cure: "Nothing at first: it is read again by itself. If it stays, look whether the provider answers at all: `pointsman actions show`."},
		{Word: "ACTION_STUCK", Cause: "An action has used up its attempts, or the provider refuses it in a way that no repeat mends.", Cure: "Mend the cause in its reason, then `pointsman actions retry`; or do it by hand and `pointsman actions abandon --reason`."},
		{Word: "ADDRESS_DIFFERS", Cause: "The Sentinels' epochs began anew and a majority names another address than the accepted one.", Cure: "Find out which is right. A later epoch is a failover again."},
		{Word: "DATA_PATH_AWAITED", Cause: "A step's change is in effect, its probe is required, and traffic does not arrive at the master yet.", Cure: "Connect to the probe's address by hand and look who answers; nothing is written again meanwhile. `pointsman actions abandon --reason` ends the wait."},
		{Word: "DATA_PATH_DISAGREES", Cause: "From a majority of zones a data path has not led to the master for 10 s, and no failover is open.", Cure: "`pointsman masters show` tells who is reached from where; look at the load balancer: somebody may have changed it, or its change was never applied."},
		{Word: "EPOCH_CONFLICT", Cause: "Two addresses at one config-epoch.", Cure: "Find out why two Sentinels decided at once, often a wrong quorum; a majority that holds for 5 s is accepted."},
		{Word: "EPOCH_REGRESSED", Cause: "A majority of Sentinels has lost the accepted epoch: they were wiped or restored.", Cure: "Check their configuration files. After 10 s of agreement the base is set anew by itself."},
		{Word: "FAILOVER_ABORTED", Cause: "A Sentinel gave a failover up.", Cure: "Its log tells why; often no replica was good enough."},
		{Word: "LEADER_TARGET_NOT_REACHED", Cause: "The leader does not reach a target that has no open work.", Cure: "Look at the network between the leader and the provider, before a failover needs it."},
		{Word: "LEADER_WITHOUT_TARGET", Cause: "The leader does not reach a target that has open work, and could not hand over to a node that does.", Cure: "Look at the network between the nodes and the provider; `pointsman nodes list -o wide` shows who reaches it."},
		{Word: "NODE_DEGRADED", Cause: "A node is not fit to lead; its reasons stand beside it.", Cure: "Mend the reason, for instance a full disk."},
		{Word: "NODE_UNREACHABLE", Cause: "A voter does not answer; with a master as its subject: the address that Sentinels name does not answer.", Cure: "Start the node, or look at the network between the nodes."},
		{Word: "NOT_A_CANDIDATE", Cause: "A Sentinel names an address that the spec does not declare.", Cure: "Add it to `candidates` and apply, or find out who announced it."},
		{Word: "NO_LEADER", Cause: "The node knows no leader: nothing new is begun.", Cure: "Bring nodes back until a majority runs."},
		{Word: "NO_SENTINEL_MAJORITY", Cause: "Fewer than a majority of the declared Sentinels answer.", Cure: "Start them, check addresses and credentials in the spec: `pointsman masters show`."},
		{Word: "NO_SPEC", Cause: "No spec was applied: no master is watched.", Cure: "`pointsman config init spec > spec.yaml`, edit it, `pointsman apply -f spec.yaml`."},
		{Word: "OBJECT_DRIFTED", Cause: "A later read found an object other than the last done action left it.", Cure: "Mend it by hand, or set `drift: repair` on the master."},
		{Word: "OBJECT_MISSING", Cause: "An object that should stand whether or not a failover comes, such as webhook subscriptions, lacks something, and no failover has written it yet: nothing is done outside of one.", Cure: "Make what the message names by hand, as the app does when it is installed, or have it made with `pointsman switchover`. Once a failover has written it, `drift: repair` on the master keeps it."},
		{Word: "OBJECT_NOT_OURS", Cause: "A look at an object that no failover has written yet met another cluster's marker, a newer failover than this log knows, or something that the step's policy leaves to humans.", Cure: "Find out who writes it: two clusters on one object, or a cluster made anew over an old one. To adopt the object, take the marker off it; the page of its kind in docs/targets says where it stands."},
		{Word: "OBJECT_UNREADABLE", Cause: "A look at an object that no failover has written yet failed, so nobody knows whose it is.", Cure: "The message has the provider's words: check the step's ids and the target's credentials. It is looked at again by itself."},
		{Word: "PROMOTED_UNANNOUNCED", Cause: "A replica became master and no Sentinel names it: the one that promoted it died.", Cure: "Start that Sentinel; the others decide anew after their failover-timeout."},
		{Word: "ROLE_VETO", Cause: "The address that a Sentinel names does not answer ROLE as master.", Cure: "Usually passes within a second. If it stays, ask that node for its ROLE and its Sentinel for its view."},
		{Word: "SENTINELS_BEHIND", Cause: "A majority of Sentinels stays below the accepted epoch.", Cure: "Look whether they hear each other: `pointsman masters show`, column PEERS."},
		{Word: "SENTINELS_DISAGREE", Cause: "Sentinels name two addresses for longer than a failover takes.", Cure: "Look whether they hear each other, and which one is cut off."},
		{Word: "SENTINEL_ALONE", Cause: "One Sentinel holds an epoch that nobody follows.", Cure: "Look whether it is cut off from the others."},
		{Word: "SENTINEL_COUNT", Cause: "A Sentinel knows another number of Sentinels than the spec declares.", Cure: "Declare all of them, or `SENTINEL RESET` the one that remembers a dead one."},
		{Word: "SENTINEL_TILT", Cause: "A Sentinel is in tilt mode: its clock jumped or its machine stood still.", Cure: "Passes after 30 s; if it comes back, look at that machine."},
		{Word: "SENTINEL_UNREACHABLE", Cause: "A Sentinel does not answer; the message says why.", Cure: "Start it, or correct its address or credentials in the spec."},
		{Word: "STEP_NOT_READY", Cause: "The leader looked at the object of a step, as it does at each apply and every 10 min, and a failover could not be done there: it is missing, a right is not granted, a credential is refused or ends soon.", Cure: "`pointsman spec check` looks again and shows each step; mend what it names, then the alert goes within a minute."},
		{Word: "TARGET_NOT_REACHED", Cause: "A node does not reach a target; others do.", Cure: "Look at the network between that node and the provider, and at its credentials."},
	}
}
