// Package linode is the kind "linode_nodebalancer": it points the one node of a
// NodeBalancer's configuration at the new master.
//
//	lb   PUT node {address, label} ──▶ stored ──▶ GET nodes ──▶ applied
//
// The address of a node may be changed in place, so a swing is one call on one
// object, and no moment between has zero or two backends. There is no task and
// no second copy: what is stored is taken as applied. How long it takes until
// the balancer follows is not published; the probe of the data path tells.
//
// A node that takes traffic beside ours would split writes, a backup would get
// them when a health check of ours fails: a configuration with either is
// refused. So one list of all nodes is read, never the one node alone.
//
// There is no compare-and-swap and no idempotency key, so the node's label is a
// marker, "pm.1f2e3d4c.cache.7": first eight characters of the cluster's id, the
// master, the number of the failover. A label holds 32 characters, so nothing of
// the user's own text can stay, and a master's id of more than 11 characters
// stands by its first five and a digest, "pm.1f2e3d4c.order_k3x9a.7". How an action
// for cache/7 judges what it finds:
//
//	marker          address as wanted     another address
//	cache/7         applied               foreign: edited since
//	cache/6         absent                absent
//	cache/8         newer                 newer
//	of a cluster    newer                 newer
//	none, or of     adopt: absent         adopt: absent
//	another master  stuck: applied        stuck: foreign
//
// What can go wrong, and why it is safe:
//   - An answer is lost: the error is in doubt, the next read finds marker and address.
//   - A read is older than our write: the same content is written again.
//   - A rebuild without ids has made the node anew, under another id: foreign, and
//     the text names the nodes that stand there now.
//   - "Linode busy.", 429, 503 in maintenance: later, no sooner than it was told.
//   - A page of something on the way in place of an answer: tried again, in doubt.
//   - A late write of an older failover lands: its marker is older, repaired.
//
// The client is actuators/wire. linodego is not used: it sends a POST again after
// 408 and 503, and tries a thousand times.
package linode
