// Package redisfence is the kind "redis_fence": it makes the old master of a
// failover a replica of the new one at once, where Sentinel does so ten seconds
// after it answers again. Until then an old master that was only cut off, or
// stopped, takes writes from every connection that outlived the switch, and
// they are thrown away later.
//
//	Read: old and new, side by side, ROLE and INFO replication
//	Act:  a new connection to the old one, the same question again, then
//	      MULTI · REPLICAOF new · CLIENT KILL TYPE normal · CLIENT KILL TYPE pubsub · EXEC
//
// What is found decides (old is the master before the failover):
//
//	old does not answer within wait        applied, with a warning: left to Sentinel
//	old says slave                         applied
//	old says master, and new followed it   absent: a write is due
//	old says master, and new did not       applied, with a warning: never written
//	new does not say master                busy
//
// "New followed it" means that new's master_replid2 is old's master_replid, or
// its master_replid2 where it was restarted since (replication.c: a promoted
// replica keeps its master's id as the second one and takes a new one, and a
// restarted master keeps its former id as the second one). So a node that was
// promoted again by a later failover is never touched: its ids are new ones.
//
// The class is fenced: the version in the claim is old's master_replid, a value
// that never comes back, and it is compared on the very connection that then
// carries the transaction. A request that arrives late arrives on that
// connection. By then the node either is still that same master, or Sentinel has
// made it a replica, which closes every connection (sentinel.c,
// sentinelSendSlaveOf: CLIENT KILL TYPE normal in the same transaction), or it
// was restarted. So no late request meets a master of later days. Whoever
// promotes a node by hand with REPLICAOF NO ONE alone closes no connection, and
// gives up this guarantee for those that are open then.
//
// It is best effort by intent: the node that cannot be reached is the one that
// failed. An established connection of a client that shares its fate with the
// old master goes on; min-replicas-to-write is what ends its writes.
package redisfence
