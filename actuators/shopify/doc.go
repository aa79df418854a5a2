// Package shopify is the kind "shopify_metafields": it tells a Shopify shop
// where the new master is, in app-data metafields, which the app's own
// installation in the shop owns and nobody else can write.
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
// Tokens that live an hour and come with a refresh token, which Shopify replaces at
// every use, are one for the whole cluster: see rotated, and docs/adr.
package shopify
