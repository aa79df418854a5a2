// Package webhooks works buffered webhooks in a user's own program: Run takes
// partitions of a pool by lease, and calls a handler for each event of them.
//
//	coordinators ──partitions, tokens──▶ Run ──an event at a time per shop──▶ handler
//	buffer (a folder, a bucket) ──────────┘ └──what is finished, under the token──▶ buffer
//
// It is package webhook/work under package client/leases; what they promise is
// said there. An event is handed out until the handler's nil is on record: at
// least once. Its effect happens once where the sink compares Delivery.Token or
// keeps Delivery.Key; docs/webhooks-workers.md says which sinks do.
package webhooks
