package ovh_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators/actuatortest"
	"github.com/pointsman/pointsman/actuators/ovh"
	cloud "github.com/pointsman/pointsman/test/clouds/ovh"
)

// Answers in OVH's form.
const (
	refused = `{"class":"Client::Forbidden","message":"This call has not been granted to {secret}","details":{"errorCode":"NOT_GRANTED_CALL"},"errorCode":"NOT_GRANTED_CALL","httpCode":"403 Forbidden"}`
	inside  = `{"class":"Server::InternalServerError","message":"internal error at {secret}"}`
)

// TestBadDays: what an action on a frontend stands at when OVH, or what lies
// between, does what it should not.
func TestBadDays(t *testing.T) {
	actuatortest.RunBadDays(t, actuatortest.Bad{
		Kind: ovh.Name, Open: openBad, Sort: sortOf, ID: "X-Ovh-Queryid", Cases: badCases(), More: refreshes(),
		Heal: func(w actuatortest.World) { turn(w, cloud.DefaultKnobs()) },
	})
}

func openBad(t *testing.T, scheme string, through func(actuatortest.Dial) actuatortest.Dial) actuatortest.World {
	t.Helper()
	l := newLab(t)
	l.spec.Endpoint = scheme + "://api.example/1.0"
	l.spec.Credentials = "file:" + confFor(t, l.spec.Endpoint)
	l.kind = ovh.New(ovh.Config{Dial: through(l.wire.dial)})
	params, err := proto.Marshal(l.spec)
	if err != nil {
		t.Fatal(err)
	}
	l.target.Params = params
	return l.world()
}

func sortOf(r *http.Request, _ []byte) actuatortest.Sort {
	switch {
	case strings.HasSuffix(r.URL.Path, "/auth/time"):
		return actuatortest.Login
	case r.Method != http.MethodGet:
		return actuatortest.Write
	case strings.HasSuffix(r.URL.Path, "/tcp/frontend/4711"):
		return actuatortest.Look
	}
	return actuatortest.Beside
}

func put(r *http.Request, _ []byte) bool { return r.Method == http.MethodPut }

func post(r *http.Request, _ []byte) bool { return r.Method == http.MethodPost }

// refreshes are the days of the call that applies what is stored.
func refreshes() []actuatortest.More {
	of := func(answer *actuatortest.Says, want actuatortest.Want) actuatortest.Case {
		return actuatortest.Case{Of: actuatortest.Write, Also: post, Answer: answer, Want: want}
	}
	const stored = "Until then the new value is stored and not in effect."
	return []actuatortest.More{
		{Day: "refresh: permission missing for this call alone", Case: of(actuatortest.JSON(403, refused), actuatortest.Want{
			End: actuatortest.Stuck, Says: "NOT_GRANTED_CALL", Do: "Grant POST on the service's `/refresh`; then `pointsman actions retry` of the refresh and of the step. " + stored,
		})},
		{Day: "refresh: a page of HTML with 200", After: true, Case: of(actuatortest.Page(200), actuatortest.Want{
			End: actuatortest.Open, Doubt: true, Says: "answer not understood", Do: "Find what answers in OVH's place. " + stored,
		})},
		{Day: "refresh: 200 with an error inside", Case: of(actuatortest.JSON(200, inside), actuatortest.Want{
			End: actuatortest.Open, Doubt: true, Says: "answer not understood", Do: "Ask OVH, with the id of the answer. " + stored,
		})},
		{Day: "refresh: a task in a state that is not known here", Case: actuatortest.Case{
			Of: actuatortest.Beside, Also: func(r *http.Request, _ []byte) bool { return strings.Contains(r.URL.Path, "/task/") },
			Answer: actuatortest.JSON(200, `{"id":1,"status":"frozen","action":"refreshIplb"}`), Want: actuatortest.Want{
				End: actuatortest.Open, Says: `"frozen", which is not known here`, Do: "Look at the task at OVH. It is asked for every 10 s, and stuck after 15 min. " + stored,
			},
		}},
	}
}

func turn(w actuatortest.World, k cloud.Knobs) {
	if err := w.Outside.(*lab).sim.SetKnobs(k); err != nil {
		panic(err) // a knob that this file spells wrong
	}
}

func turned1(f func(*cloud.Knobs)) func(actuatortest.World) {
	return func(w actuatortest.World) {
		k := cloud.DefaultKnobs()
		f(&k)
		turn(w, k)
	}
}

func badCases() map[actuatortest.Day]actuatortest.Case {
	type (
		of   = actuatortest.Case
		want = actuatortest.Want
	)
	json := actuatortest.JSON
	return map[actuatortest.Day]of{
		actuatortest.WrongType:   {Answer: json(200, `{"frontendId":4711,"defaultFarmId":"{secret}","displayName":7,"zone":"all"}`)},
		actuatortest.ErrorInLook: {Answer: json(200, inside), Want: want{Says: "an error inside"}},
		actuatortest.Missing:     {Answer: json(404, `{"class":"Client::NotFound","message":"The requested object (frontendId = 4711) does not exist"}`)},
		actuatortest.UnknownWord: {
			Of: actuatortest.Beside, Also: func(r *http.Request, _ []byte) bool { return strings.Contains(r.URL.Path, "/farm/12/server/") },
			Answer: json(200, `{"serverId":22,"address":"10.0.2.20","port":6379,"status":"quarantined"}`),
			Want:   want{End: actuatortest.Stuck, Says: "is quarantined", Do: "Look at the farm's server at OVH: only one that is `active` is switched to; then `pointsman actions retry`."},
		},
		actuatortest.NoRightToLook: {Answer: json(403, refused), Want: want{Says: "NOT_GRANTED_CALL"}},
		actuatortest.Revoked:       {Do: turned1(func(k *cloud.Knobs) { k.KeyTrouble = cloud.KeyTurnedDown }), Want: want{Says: "INVALID_CREDENTIAL"}},
		actuatortest.Expired:       {Do: turned1(func(k *cloud.Knobs) { k.KeyTrouble = cloud.KeyOver }), Want: want{Says: "INVALID_CREDENTIAL"}},
		actuatortest.Skewed: {Do: turned1(func(k *cloud.Knobs) { k.ClockSkew = time.Hour }), Want: want{
			Do: "Nothing: requests are signed with OVH's own time. Should it refuse that all the same, the reason says `QUERY_TIME_OUT` and it is tried again.",
		}},
		actuatortest.NoRightToWrite: {Also: put, Answer: json(403, refused), Want: want{Says: "NOT_GRANTED_CALL"}},
		actuatortest.PageAfterWrite: {Also: put},
		actuatortest.HugeWrite:      {Also: put},
		actuatortest.RedirectWrite:  {Also: put},
		actuatortest.PageToWrite:    {Also: put, Want: want{End: actuatortest.Open, Says: "read back another value"}},
		actuatortest.ErrorInWrite:   {Also: put, Answer: json(200, inside), Want: want{Says: "an error inside"}},
		actuatortest.OddWrite:       {Also: put, Answer: json(200, `[{"taskId":"{secret}"}]`)},
	}
}
