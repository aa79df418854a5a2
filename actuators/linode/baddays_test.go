package linode_test

import (
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators/actuatortest"
	"github.com/pointsman/pointsman/actuators/linode"
	cloud "github.com/pointsman/pointsman/test/clouds/linode"
)

// TestBadDays: what an action on a node stands at when Linode, or what lies
// between, does what it should not.
func TestBadDays(t *testing.T) {
	actuatortest.RunBadDays(t, actuatortest.Bad{
		Kind: linode.Name, Open: openBad, Sort: sortOf, ID: "X-Request-Id", Cases: badCases(),
		Heal: func(w actuatortest.World) { turn(w, func(*cloud.Knobs) {}) },
	})
}

func openBad(t *testing.T, scheme string, through func(actuatortest.Dial) actuatortest.Dial) actuatortest.World {
	t.Helper()
	l := newLab(t, privateNetwork, func(k *cloud.Knobs) { k.RequestID = true })
	l.spec.Endpoint = scheme + "://api.example/v4"
	l.kind = linode.New(linode.Config{Dial: through(l.net.Dial), Getenv: func(string) string { return token }})
	params, err := proto.Marshal(l.spec)
	if err != nil {
		t.Fatal(err)
	}
	l.target.Params = params
	return l.world()
}

func sortOf(r *http.Request, _ []byte) actuatortest.Sort {
	switch {
	case r.Method != http.MethodGet:
		return actuatortest.Write
	case strings.HasSuffix(r.URL.Path, "/nodes"):
		return actuatortest.Look
	}
	return actuatortest.Beside
}

func turn(w actuatortest.World, f func(*cloud.Knobs)) {
	k := cloud.DefaultKnobs()
	k.RequestID = true
	f(&k)
	if err := w.Outside.(*lab).sim.SetKnobs(k); err != nil {
		panic(err) // a knob that this file spells wrong
	}
}

func trouble(of cloud.TokenTrouble) func(actuatortest.World) {
	return func(w actuatortest.World) { turn(w, func(k *cloud.Knobs) { k.TokenTrouble = of }) }
}

func badCases() map[actuatortest.Day]actuatortest.Case {
	type (
		of   = actuatortest.Case
		want = actuatortest.Want
	)
	const (
		inside = `{"errors":[{"reason":"internal error at {secret}"}]}`
		denied = `{"errors":[{"reason":"Your OAuth token {secret} is not authorized to use this endpoint."}]}`
	)
	json := actuatortest.JSON
	return map[actuatortest.Day]of{
		actuatortest.WrongType:   {Answer: json(200, `{"data":[{"id":"{secret}","label":7}],"page":1,"pages":1,"results":1}`)},
		actuatortest.ErrorInLook: {Answer: json(200, inside), Want: want{Says: "an error inside"}},
		actuatortest.Missing: {Answer: json(404, `{"errors":[{"reason":"Not found"}]}`), Want: want{
			Do: "Linode answers so too where the token's user may not see the object: look at both. Then `pointsman actions retry`.",
		}},
		actuatortest.UnknownWord: {
			Change: func(body []byte) []byte {
				return []byte(strings.ReplaceAll(string(body), `"mode":"accept"`, `"mode":"standby"`))
			},
			Want: want{End: actuatortest.Stuck, Says: "is in mode standby", Do: "Look at the node: only one whose mode is `accept` is known to take traffic; then `pointsman actions retry`."},
		},
		actuatortest.NoRightToLook:  {Answer: json(403, denied), Want: want{Says: linode.Scope}},
		actuatortest.Revoked:        {Do: trouble(cloud.TokenUnknown), Want: want{Says: "401: Invalid Token"}},
		actuatortest.Expired:        {Do: trouble(cloud.TokenExpired), Want: want{Says: "401: Token has expired"}},
		actuatortest.Skewed:         {None: "Requests to Linode carry no time: no clock counts."},
		actuatortest.NoRightToWrite: {Do: trouble(cloud.TokenReadOnly), Want: want{Says: linode.Scope}},
		actuatortest.PageToWrite:    {Want: want{End: actuatortest.Open, Says: "read back another value"}},
		actuatortest.ErrorInWrite:   {Answer: json(200, inside), Want: want{Says: "an error inside"}},
		actuatortest.OddWrite:       {Answer: json(200, `{"id":"{secret}","address":[]}`)},
	}
}
