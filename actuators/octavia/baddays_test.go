package octavia_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators/actuatortest"
	"github.com/pointsman/pointsman/actuators/octavia"
	cloud "github.com/pointsman/pointsman/test/clouds/octavia"
)

// TestBadDays: what an action on a listener stands at when OpenStack, or what
// lies between, does what it should not.
func TestBadDays(t *testing.T) {
	actuatortest.RunBadDays(t, actuatortest.Bad{
		Kind: octavia.Name, Open: openBad, Sort: sortOf, ID: "X-Openstack-Request-Id", Cases: badCases(), More: logins(),
		Heal: func(w actuatortest.World) { turn(func(*cloud.Knobs) {})(w) },
	})
}

// Answers in OpenStack's form.
const (
	refused = `{"faultcode":"Client","faultstring":"Policy does not allow this request to be performed by {secret}.","debuginfo":null}`
	inside  = `{"faultcode":"Server","faultstring":"internal error at {secret}","debuginfo":null}`
)

func openBad(t *testing.T, scheme string, through func(actuatortest.Dial) actuatortest.Dial) actuatortest.World {
	t.Helper()
	l := newLab(t)
	path := filepath.Join(t.TempDir(), "clouds.yaml")
	text := fmt.Sprintf(`clouds: {ovh: {region_name: EU-WEST-PAR, auth: {auth_url: "%s://keystone.example/v3",
		application_credential_id: %s, application_credential_secret: %s}}}`, scheme, credentialID, secret)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l.spec.Credentials = "file:" + path
	l.kind = octavia.New(octavia.Config{Dial: through(l.wire.Dial)})
	params, err := proto.Marshal(l.spec)
	if err != nil {
		t.Fatal(err)
	}
	l.target.Params = params
	return l.world()
}

func sortOf(r *http.Request, _ []byte) actuatortest.Sort {
	switch {
	case strings.HasSuffix(r.URL.Path, "/auth/tokens"):
		return actuatortest.Login
	case r.Method != http.MethodGet:
		return actuatortest.Write
	case strings.HasSuffix(r.URL.Path, "/listeners/"+listenerID):
		return actuatortest.Look
	}
	return actuatortest.Beside
}

func turn(f func(*cloud.Knobs)) func(actuatortest.World) {
	return func(w actuatortest.World) {
		k := cloud.Knobs{Provision: 2 * time.Second}
		f(&k)
		if err := w.Outside.(*lab).sim.SetKnobs(k); err != nil {
			panic(err) // a knob that this file spells wrong
		}
	}
}

// logins are the days of Keystone.
func logins() []actuatortest.More {
	of := func(answer *actuatortest.Says, want actuatortest.Want) actuatortest.Case {
		return actuatortest.Case{Of: actuatortest.Login, Answer: answer, Want: want}
	}
	return []actuatortest.More{
		{Day: "login: a page of HTML, with 200", Case: of(actuatortest.Page(200), actuatortest.Want{
			End: actuatortest.Open, Says: "answer not understood", Do: "Find what answers in Keystone's place: `auth_url` of the clouds.yaml must end in /v3.",
		})},
		{Day: "login: the catalogue has no load balancer service", Case: of(
			&actuatortest.Says{Status: 201, Header: map[string]string{"X-Subject-Token": "gAAAAAempty"}, Body: `{"token":{"catalog":[]}}`},
			actuatortest.Want{End: actuatortest.Stuck, Says: "no load balancer service", Do: "Mend `region_name`, or name the target's `endpoint`; then `pointsman actions retry`."},
		)},
		{Day: "login: a token without its header", Case: of(actuatortest.JSON(201, `{"token":{"catalog":[]}}`), actuatortest.Want{
			End: actuatortest.Open, Says: "no X-Subject-Token", Do: "Find what takes the header off on the way.",
		})},
		{Day: "login: a redirect", Case: of(&actuatortest.Says{Status: 301, Header: map[string]string{"Location": "http://elsewhere.example/v3"}}, actuatortest.Want{
			End: actuatortest.Open, Says: "301", Do: "Name the address that Keystone has now as `auth_url`; redirects are not followed with a password.",
		})},
	}
}

func badCases() map[actuatortest.Day]actuatortest.Case {
	type (
		of   = actuatortest.Case
		want = actuatortest.Want
	)
	json := actuatortest.JSON
	return map[actuatortest.Day]of{
		actuatortest.WrongType:   {Answer: json(200, `{"listener":{"default_pool_id":7,"provisioning_status":["{secret}"]}}`)},
		actuatortest.ErrorInLook: {Answer: json(200, inside), Want: want{Says: "an error inside"}},
		actuatortest.Missing:     {Answer: json(404, `{"faultcode":"Client","faultstring":"listener not found.","debuginfo":null}`)},
		actuatortest.UnknownWord: {
			Change: func(body []byte) []byte {
				return []byte(strings.ReplaceAll(string(body), `"provisioning_status":"ACTIVE"`, `"provisioning_status":"PENDING_MAGIC"`))
			},
			Want: want{Says: "PENDING_MAGIC", Do: "Look at the load balancer. A status that is not known is waited for like a pending one."},
		},
		actuatortest.NoRightToLook:  {Answer: json(403, refused), Want: want{Says: "Policy does not allow"}},
		actuatortest.Revoked:        {Do: turn(func(k *cloud.Knobs) { k.Trouble = cloud.TroubleLogin }), Want: want{Says: "auth/tokens: 401"}},
		actuatortest.Expired:        {Do: turn(func(k *cloud.Knobs) { k.Trouble = cloud.TroubleTokens }), Want: want{Says: "401"}},
		actuatortest.Skewed:         {Do: turn(func(k *cloud.Knobs) { k.ClockSkew = time.Hour })},
		actuatortest.NoRightToWrite: {Answer: json(403, refused), Want: want{Says: "Policy does not allow"}},
		actuatortest.PageToWrite:    {},
		actuatortest.ErrorInWrite:   {Answer: json(200, inside), Want: want{Says: "an error inside"}},
		actuatortest.OddWrite:       {Answer: json(202, `{"listener":{"provisioning_status":7,"default_pool_id":"{secret}"}}`)},
	}
}
