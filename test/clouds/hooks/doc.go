// Package hooks is what stands around the webhook path in a playground: a shop
// that signs and posts deliveries and does not give up, the configuration of
// receivers and workers as files, an object store as a process of its own, and a
// sink that tells a late holder from the present one.
//
//	Shop ──POST, again until 2xx──▶ receivers ──▶ store (folder, gateway) ──▶ workers ──▶ Sink
//
// The shop repeats a delivery under its own webhook id, as Shopify does, after
// any answer but 2xx and after 5 s without one, and then at the next receiver.
// What it counts as acknowledged was answered 2xx to itself; nothing is taken
// from the programs under test.
package hooks
