package shopify_test

import (
	"testing"

	"github.com/pointsman/pointsman/actuators/actuatortest"
	"github.com/pointsman/pointsman/actuators/shopify"
	cloud "github.com/pointsman/pointsman/test/clouds/shopify"
)

// TestBadDaysOfHooks: what an action on a shop's webhook subscriptions stands at
// when Shopify, or what lies between, does what it should not.
func TestBadDaysOfHooks(t *testing.T) {
	turned := func(f func(*cloud.Knobs)) func(actuatortest.World) {
		return func(w actuatortest.World) {
			k := cloud.DefaultKnobs()
			f(&k)
			if err := w.Outside.(*hookLab).sim.SetKnobs(k); err != nil {
				panic(err) // a knob that this file spells wrong
			}
		}
	}
	actuatortest.RunBadDays(t, actuatortest.Bad{
		Kind: shopify.HooksName, Open: openHookDay, Sort: sortOf, ID: "X-Request-Id", Cases: hookCases(turned), More: hookDays(turned),
		Heal: turned(func(*cloud.Knobs) {}),
	})
}

func openHookDay(t *testing.T, scheme string, through func(actuatortest.Dial) actuatortest.Dial) actuatortest.World {
	t.Helper()
	l := newHookLab(t, granted)
	l.lab.spec.Endpoint = scheme + "://example.myshopify.com"
	l.kind = shopify.New(shopify.Config{Dial: through(l.dial)})
	l.target.Params = encoded(t, l.lab.spec)
	w := l.world()
	w.Secrets = []string{clientSecret, accessToken, "shpat_granted"}
	return w
}

type turning func(func(*cloud.Knobs)) func(actuatortest.World)

// hookDays are those that only webhooks have.
func hookDays(turned turning) []actuatortest.More {
	type (
		of   = actuatortest.Case
		want = actuatortest.Want
	)
	said := func(message string) *actuatortest.Says {
		one := `{"webhookSubscription":null,"userErrors":[{"field":["webhookSubscription"],"message":"` + message + `"}]}`
		return actuatortest.JSON(200, `{"data":{"h0":`+one+`,"h1":`+one+`,"h2":`+one+`}}`)
	}
	return []actuatortest.More{
		{Day: "write: the scope of a topic is not granted", Case: of{Do: turned(func(k *cloud.Knobs) { k.Granted = "" }), Want: want{
			End: actuatortest.Stuck, Says: "takes the scope read_orders or read_marketplace_orders",
			Do: "Grant the app the scope that the reason names; then `pointsman actions retry`. What could be made stands.",
		}}},
		{Day: "write: a user error that is not known here", Case: of{Of: actuatortest.Write, Answer: said("no {secret}"), Want: want{
			End: actuatortest.Stuck, Says: "orders/create: no ", Do: "Mend what the reason says of the subscription; then `pointsman actions retry`.",
		}}},
		{Day: "write: Shopify has the subscription and does not list it", Case: of{Of: actuatortest.Write, Answer: said("Address for this topic has already been taken"), Want: want{
			End: actuatortest.Open, Says: "already and does not list it", Do: "Nothing, if it was a passing fault: it goes on by itself. Else ask Shopify, with the id of the answer.",
		}}},
		{Day: "shop frozen for an unpaid bill", Case: of{Of: actuatortest.Look, Answer: actuatortest.JSON(402, `{"errors":"Unavailable Shop"}`), Want: want{
			End: actuatortest.Open, Says: "the shop is frozen or locked", Do: "Pay the bill. It is asked again by itself.",
		}}},
	}
}

func hookCases(turned turning) map[actuatortest.Day]actuatortest.Case {
	type (
		of   = actuatortest.Case
		want = actuatortest.Want
	)
	json := actuatortest.JSON
	const denied = `{"data":null,"errors":[{"message":"Access denied to {secret}","extensions":{"code":"ACCESS_DENIED","requiredAccess":"` + "`read_orders` access scope." + `"}}]}`
	return map[actuatortest.Day]of{
		actuatortest.WrongType:   {Answer: json(200, `{"data":{"webhookSubscriptions":{"nodes":[{"id":7,"topic":"{secret}"}],"pageInfo":{}}}}`)},
		actuatortest.ErrorInLook: {Answer: json(200, inside), Want: want{Says: "INTERNAL_SERVER_ERROR"}},
		actuatortest.Missing:     {Answer: json(404, `{"errors":"Not Found"}`), Want: want{Do: "Mend the shop's permanent name, or the API version: Shopify has neither shop nor API there. Then `pointsman actions retry`."}},
		actuatortest.UnknownWord: {
			Answer: json(200, `{"errors":[{"message":"moonphase","extensions":{"code":"WRONG_MOON"}}]}`),
			Want:   want{Says: "WRONG_MOON", Do: "Ask Shopify, with the id of the answer: an error whose code is not known may pass by itself."},
		},
		actuatortest.NoRightToLook:  {Answer: json(200, denied), Want: want{Says: "required access: `read_orders`"}},
		actuatortest.Revoked:        {Do: turned(func(k *cloud.Knobs) { k.TokenTrouble = cloud.TokensRevoked }), Want: want{Says: "401"}},
		actuatortest.Expired:        {Do: turned(func(k *cloud.Knobs) { k.TokenLife = 0 }), Want: want{Says: "expired, revoked, or the app was removed from the shop"}},
		actuatortest.Skewed:         {None: "Requests to Shopify carry no time, and a token's life is told as a span: no clock counts."},
		actuatortest.NoRightToWrite: {Answer: json(200, denied), Want: want{Says: "required access: `read_orders`"}},
		actuatortest.PageToWrite:    {},
		actuatortest.ErrorInWrite:   {Answer: json(200, inside), Want: want{Says: "INTERNAL_SERVER_ERROR"}},
		actuatortest.OddWrite:       {Answer: json(200, `{"data":{"h0":{"webhookSubscription":{"id":7},"userErrors":"{secret}"}}}`)},
	}
}
