// Package shopify simulates a Shopify shop as one app sees it, as far as
// app-data metafields and webhook subscriptions go, for tests and the lab.
//
// Every query is parsed and validated by the types of testdata/schema.graphql,
// so that one which Shopify would refuse is refused here, in its words:
//
//	POST /admin/api/VERSION/graphql.json   X-Shopify-Access-Token
//	POST /admin/oauth/access_token         the client-credentials grant
//
// A request passes, in this order: a fault before; the token; the shop's state;
// the version; the schema; the cost; the effect; the knobs' delay; a fault after.
// The effect happens under one lock: metafieldsSet compares every digest, and
// stores all of the call's values or none.
//
//	compareDigest   stands            comes of it
//	left out        anything          written over
//	null            nothing           created
//	null            something         STALE_OBJECT
//	a digest        the same          written
//	a digest        another, nothing  STALE_OBJECT
//
// Webhook subscriptions are listed in pages, created and deleted; several fields
// of one mutation are carried out one after another, each by itself. FailDelivery
// is a delivery that its address did not take: HookDrop of them in a row and the
// shop removes the subscription, without a word. Those of an app's own configuration
// are another thing at Shopify, and not here.
//
// What public material leaves open about Shopify is a knob (knobs.go), and each
// of its values is a way in which Shopify may well behave. Faults strike single
// requests, before or after their effect: lost and garbled answers, errors
// inside a 200, pages of HTML, bodies without end, redirects, and requests that
// are held and arrive when their sender is long gone.
//
// The journal tells what arrived, when it took effect, and with which of the
// three forms of compareDigest; Prove counts it against the coordinators' log.
package shopify
