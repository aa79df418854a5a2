// Package cluster replicates. It runs one Raft node (hashicorp/raft), keeps its
// store honest, and offers the log to the floors above: propose, read, lead.
//
//	   Propose ─▶ leader? ──no──▶ peer.go ──▶ the leader's Raft port
//	                │yes                          │
//	ProposeAs ──▶ commit ◀────────────────────────┘
//	                │ journal.Encode: id, term, log clock, CRC
//	                ▼
//	             raft.Apply ──▶ port.go: one listener, hello first, then 'R'aft or 'P'eer
//	                │
//	             LogCache ──▶ guard: seal (CRC), vote in one record, write deadline ──▶ bolt
//	                │ committed
//	                ▼
//	             machine: journal.Decode, fsm.Apply ──▶ State, Watch, Applied
//
//	Lead:  raft says leader ─▶ barrier ─▶ f(ctx, term) ─▶ ctx ends with the term ─▶ f returns ─▶ ...
//	Read:  join the next shared barrier ─▶ index of the last command ─▶ wait until it is applied here
//
// The log clock is base + elapsed: base is the last logged value when the
// leader's barrier is through, elapsed its own monotonic time since then.
//
// What can go wrong, and why it is safe:
//   - A process is paused while it leads: it believes so for some milliseconds after.
//     Reads pass a barrier and claims name their term, so it can neither answer
//     stale values nor claim. A request already on the wire is the executor's matter.
//   - The disk hangs: the write is given up at Timings.Write, the watchdog acts at
//     Timings.Stall; either ends the node and cuts its connections, so that another
//     is elected. The process must exit then: the late write may still land, but
//     nobody was told of it.
//   - The disk is full or refuses a write: the first error ends the node. Below
//     Config.DiskFloor it does not lead, or says why it must, and still replicates.
//   - A bit flips in the store: the seal of each entry is checked when it is read, all
//     of them at start. Both of bolt's meta pages must be whole, since bolt itself
//     would open the commit before. A page that loses entries shows as a hole, or by
//     raft.tail, which says where the log ended (after a power cut it may say less).
//     Not covered: bolt's list of free pages; what it makes bolt overwrite is found by
//     the seals at the next read.
//   - A crash tears a vote: it cannot, current term and vote are one record.
//   - A snapshot is damaged: its checksum refuses it. Raft then tries the one before,
//     which is as good while the log still covers the rest, and else the node does not start.
//   - The store is emptied, removed or swapped: the identity file, or the store id
//     that the log keeps of each member, refuses it. A node that forgot its votes
//     neither votes nor leads: every connection begins with a hello, and a new store
//     speaks no Raft with a log that has begun until a leader has recorded it (admit.go).
//   - A majority is lost for good, or a backup was put back: Recover begins again from one
//     node's directory (recover.go); every hello tells the era of its node's data, and
//     a node of before the recovery ends (era.go).
//   - A transfer of leadership gets stuck (raft #696): the watchdog ends the node.
//   - An entry or snapshot comes from a newer release: the node stops there and says
//     to upgrade. Later kinds are proposed only when every voter can read them.
//   - A proposal's answer is lost: it is repeated with its id, and the state machine
//     gives the first answer.
//
// The Raft port has no authentication: hello tells friends apart, not enemies.
// Until it is wrapped in TLS (Config.Network) it belongs on loopback or on a
// network that nobody else is on.
package cluster
