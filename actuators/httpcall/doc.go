// Package httpcall is the kind "http": it posts a signed event of a failover to
// an endpoint of the user.
//
//	POST <url>
//	Content-Type: application/json
//	Idempotency-Key: <cluster id>/<action>        the same at each try of one action
//	Pointsman-Token: <token>                      of the claim: only rises
//	Pointsman-Timestamp: <seconds since 1970>     of this try
//	Pointsman-Signature: v1=<hex>                 of this try
//
//	signature = HMAC-SHA256(secret, timestamp + "." + token + "." + body)
//
// The body is the same bytes at each try, so an endpoint may compare it; what
// differs stands in headers. Its "version" is 1: fields are only added. A check,
// a GET, is signed the same way with an empty token and body.
//
// What an answer means:
//
//	2xx                    done; in doubt if its body is a page, does not come in
//	                       full, or says error, errors, ok or success to the contrary
//	409, 423, 429          not carried out, again later: Retry-After, else a second
//	410, 422               refused for good: stuck (410: the endpoint knows of
//	                       something newer, or is gone; 422: it will never take this)
//	other 4xx              refused for good, unless it is a page (text/html), which
//	                       may be a proxy's passing trouble: in doubt
//	408, 5xx, no answer    in doubt
//	301, 302, 303          in doubt: what it points at may be what came of the event
//	307, 308, other 3xx    later; or followed, where the target allows it (redirects)
//
// The class is the user's word in the step (repeat): keyed by default; blind; or
// readable, by a GET of the check that answers {"value": ..., "marker": ...} or
// the value as text. A keyed deed without a check is done by its clear answer,
// which is kept in the log.
//
// Private, loopback, link-local and other special addresses are refused when a
// connection is made, after the name was resolved, unless the target allows
// their network: a name that moves cannot turn this process against its own
// surroundings. No proxy of the environment is used, since it would resolve the
// name itself.
package httpcall
