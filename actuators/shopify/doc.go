// Package shopify knows Shopify shops. Two kinds of step share a shop's client:
// "shopify_metafields" tells a shop where the new master is, and "shopify_webhooks"
// has the app's webhook subscriptions stand there.
//
// # Metafields
//
// App-data metafields are owned by the app's own installation in the shop, and
// nobody else can write them.
//
//	read   currentAppInstallation { id, metafield of each key { value, digest } }
//	claim  names the digest of each key, or that there is none
//	write  metafieldsSet of all keys, compareDigest each: all or nothing
//	read   each key holds what was written ──▶ applied
//
// The class is fenced: Shopify compares the digests with what stands and
// refuses all with STALE_OBJECT when one differs. A digest stands for the
// value, and A ─▶ B ─▶ A would bring the first one back, so each value says
// which failover wrote it:
//
//	{"cluster":"1f2e…","failover":"cache/7","action":"cache/7/shopify","value":"redis://10.0.2.20:6379/0"}
//
// How an action for cache/7 judges what it finds; the worst of its keys decides:
//
//	written for         value as wanted   another value
//	cache/7             applied           foreign: edited since
//	cache/6             absent            absent
//	cache/8             newer             newer
//	another cluster     newer             newer
//	none, or another    adopt: absent     adopt: absent
//	master              stuck: foreign    stuck: foreign
//	(no metafield)      absent; foreign where the action is done
//
// What can go wrong, and why it is safe:
//   - An answer is lost: in doubt, the next read finds our words. A second write
//     under the old digests is refused by Shopify.
//   - STALE_OBJECT: nothing was stored, and a read tells whose words stand: ours
//     (done), a newer failover's (newer), or others (a new claim with new digests).
//   - The digests have changed between a claim's read and its write: refused here,
//     before a request is sent.
//   - compareDigest left out would write over anything. It has a type of its own
//     (compare) with three forms on the wire, and that one is never sent.
//   - A metafield is deleted: Shopify compares nothing then, so we never delete.
//     Where an app deletes them behind our back, a late write that was to create
//     one could pass for new; it is repaired like any drift.
//   - The shop is frozen or locked (402, 423): looked at again every FrozenDelay.
//   - Throttled, by status 429 or inside a 200: nothing was carried out; the wait
//     is Retry-After, or what the cost says.
//   - Errors inside a 200: those of the request and those of the mutation are both
//     looked at. What is not known by its code is in doubt, and a read decides.
//   - The version asked for is no longer served: Shopify answers with another one
//     (it says which). The deed goes on, with a warning in its reason, and in
//     pointsman_shopify_version_differs.
//
// # Webhooks
//
// Shopify deletes a subscription after eight failed deliveries in a row. What is to
// stand is the same for every failover, and told apart by topic and address:
//
//	read   webhookSubscriptions, page by page
//	write  webhookSubscriptionCreate of each that is missing, in one mutation
//	read   each stands ──▶ applied
//
//	on the list                       an action that is done   another
//	topic and address, the format     applied                  applied
//	neither                           foreign; absent to mend  absent
//	neither, asked for just now       busy                     busy
//	another format, or its name       foreign                  foreign
//	with another address
//
// Nothing is ever changed or deleted: what is too much, or differs in filter,
// fields or name, is a warning.
//
// What can go wrong, and why it is safe:
//   - An answer is lost, the leader dies: the next look lists before anything is sent.
//   - The list lags: who has just asked waits (madeFor, doubtFor); who has not is
//     refused by Shopify, "already been taken", which is for later, not an error.
//   - A late request lands beside its repeat: Shopify refuses it by topic and address,
//     and by name. Were it to take it, the surplus is counted and told.
//   - Some of a request are refused: those are stuck by their words, the others stand.
//
// # Tokens
//
// Tokens that live an hour and come with a refresh token, which Shopify replaces at
// every use, are one for the whole cluster: see rotated, and docs/adr.
package shopify
