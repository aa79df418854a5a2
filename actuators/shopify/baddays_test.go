package shopify_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators/actuatortest"
	"github.com/pointsman/pointsman/actuators/shopify"
	cloud "github.com/pointsman/pointsman/test/clouds/shopify"
)

// TestBadDays: what an action on a shop's metafields stands at when Shopify, or
// what lies between, does what it should not.
func TestBadDays(t *testing.T) {
	actuatortest.RunBadDays(t, actuatortest.Bad{
		Kind: shopify.Name, Open: openBad, Sort: sortOf, ID: "X-Request-Id", Cases: badCases(), More: grants(),
		Heal: func(w actuatortest.World) { turn(func(*cloud.Knobs) {})(w) },
	})
}

func openBad(t *testing.T, scheme string, through func(actuatortest.Dial) actuatortest.Dial) actuatortest.World {
	t.Helper()
	l := newLab(t, granted)
	l.spec.Endpoint = scheme + "://example.myshopify.com"
	l.kind = shopify.New(shopify.Config{Dial: through(l.dial)})
	params, err := proto.Marshal(l.spec)
	if err != nil {
		t.Fatal(err)
	}
	l.target.Params = params
	w := l.world()
	w.Secrets = []string{clientSecret, accessToken, "shpat_granted"}
	return w
}

// sortOf goes by the query: everything is a POST.
func sortOf(r *http.Request, body []byte) actuatortest.Sort {
	switch {
	case strings.HasSuffix(r.URL.Path, "/access_token"):
		return actuatortest.Login
	case bytes.Contains(body, []byte("mutation")):
		return actuatortest.Write
	}
	return actuatortest.Look
}

func turn(f func(*cloud.Knobs)) func(actuatortest.World) {
	return func(w actuatortest.World) {
		k := cloud.DefaultKnobs()
		f(&k)
		if err := w.Outside.(*lab).sim.SetKnobs(k); err != nil {
			panic(err) // a knob that this file spells wrong
		}
	}
}

const inside = `{"errors":[{"message":"internal error at {secret}","extensions":{"code":"INTERNAL_SERVER_ERROR"}}]}`

// grants are the days of the login by client id and secret, and those that only
// a shop has.
func grants() []actuatortest.More {
	of := func(sort actuatortest.Sort, answer *actuatortest.Says, want actuatortest.Want) actuatortest.Case {
		return actuatortest.Case{Of: sort, Answer: answer, Want: want}
	}
	json := actuatortest.JSON
	return []actuatortest.More{
		{Day: "login: a page of HTML, with 200", Case: of(actuatortest.Login, actuatortest.Page(200), actuatortest.Want{
			End: actuatortest.Open, Says: "get an access token: none is given", Do: "Find what answers in Shopify's place: is the shop's permanent name right?",
		})},
		{Day: "login: the app is not installed in the shop", Case: of(actuatortest.Login, json(400, `{"error":"app_not_installed","error_description":"{secret}"}`), actuatortest.Want{
			End: actuatortest.Stuck, Says: "the app is not installed in this shop", Do: "Install the app in the shop; then `pointsman actions retry`.",
		})},
		{Day: "write: an error for a field whose code is not known here", Case: of(actuatortest.Write,
			json(200, `{"data":{"metafieldsSet":{"metafields":[],"userErrors":[{"field":["metafields","0"],"message":"no","code":"WRONG_MOON","elementIndex":0}]}}}`),
			actuatortest.Want{End: actuatortest.Stuck, Says: "WRONG_MOON", Do: "Nothing was stored. Mend the value that the reason names; then `pointsman actions retry`."})},
		{Day: "shop frozen for an unpaid bill", Case: of(actuatortest.Look, json(402, `{"errors":"Unavailable Shop"}`), actuatortest.Want{
			End: actuatortest.Open, Says: "the shop is frozen or locked", Do: "Pay the bill. It is asked again by itself.",
		})},
	}
}

func badCases() map[actuatortest.Day]actuatortest.Case {
	type (
		of   = actuatortest.Case
		want = actuatortest.Want
	)
	json := actuatortest.JSON
	const denied = `{"data":null,"errors":[{"message":"Access denied to {secret}","extensions":{"code":"ACCESS_DENIED","requiredAccess":"` + "`write_app_metafields` access scope." + `"}}]}`
	return map[actuatortest.Day]of{
		actuatortest.WrongType:   {Answer: json(200, `{"data":{"currentAppInstallation":{"id":7,"m0":"{secret}","m1":null}}}`)},
		actuatortest.ErrorInLook: {Answer: json(200, inside), Want: want{Says: "INTERNAL_SERVER_ERROR"}},
		actuatortest.Missing:     {Answer: json(404, `{"errors":"Not Found"}`), Want: want{Do: "Mend the shop's permanent name, or the API version: Shopify has neither shop nor API there. Then `pointsman actions retry`."}},
		actuatortest.UnknownWord: {
			Answer: json(200, `{"errors":[{"message":"moonphase","extensions":{"code":"WRONG_MOON"}}]}`),
			Want:   want{Says: "WRONG_MOON", Do: "Ask Shopify, with the id of the answer: an error whose code is not known may pass by itself."},
		},
		actuatortest.NoRightToLook:  {Answer: json(200, denied), Want: want{Says: "required access: `write_app_metafields`"}},
		actuatortest.Revoked:        {Do: turn(func(k *cloud.Knobs) { k.TokenTrouble = cloud.TokensRevoked }), Want: want{Says: "401"}},
		actuatortest.Expired:        {Do: turn(func(k *cloud.Knobs) { k.TokenLife = 0 }), Want: want{Says: "expired, revoked, or the app was removed from the shop"}},
		actuatortest.Skewed:         {None: "Requests to Shopify carry no time, and a token's life is told as a span: no clock counts."},
		actuatortest.NoRightToWrite: {Answer: json(200, denied), Want: want{Says: "required access: `write_app_metafields`"}},
		actuatortest.PageToWrite:    {},
		actuatortest.ErrorInWrite:   {Answer: json(200, inside), Want: want{Says: "INTERNAL_SERVER_ERROR"}},
		actuatortest.OddWrite:       {Answer: json(200, `{"data":{"metafieldsSet":{"metafields":[{"key":7}],"userErrors":"{secret}"}}}`)},
	}
}
