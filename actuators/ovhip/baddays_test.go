package ovhip_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators/actuatortest"
	"github.com/pointsman/pointsman/actuators/ovhip"
	cloud "github.com/pointsman/pointsman/test/clouds/ovh"
)

// TestBadDays: what an action on an Additional IP stands at when OVH, or what
// lies between, does what it should not.
func TestBadDays(t *testing.T) {
	actuatortest.RunBadDays(t, actuatortest.Bad{
		Kind: ovhip.Name, Open: openBad, Sort: sortOf, ID: "X-Ovh-Queryid", Cases: badCases(), More: markers(),
		Heal: func(w actuatortest.World) { turn(func(*cloud.Knobs) {})(w) },
	})
}

// Answers in OVH's form.
const (
	refused = `{"class":"Client::Forbidden","message":"This call has not been granted to {secret}","errorCode":"NOT_GRANTED_CALL","httpCode":"403 Forbidden"}`
	inside  = `{"class":"Server::InternalServerError","message":"internal error at {secret}"}`
)

func openBad(t *testing.T, scheme string, through func(actuatortest.Dial) actuatortest.Dial) actuatortest.World {
	t.Helper()
	l := newLab(t)
	l.spec.Endpoint = scheme + "://api.example/1.0"
	l.spec.Credentials = "file:" + confFor(t, l.spec.Endpoint)
	l.kind = ovhip.New(ovhip.Config{Dial: through(l.wire.Dial)})
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
	case strings.HasSuffix(r.URL.EscapedPath(), "%2F32"):
		return actuatortest.Look
	}
	return actuatortest.Beside
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

func move(r *http.Request, _ []byte) bool { return r.Method == http.MethodPost }

func markers() []actuatortest.More {
	of := func(answer *actuatortest.Says, want actuatortest.Want) actuatortest.Case {
		mark := func(r *http.Request, _ []byte) bool { return r.Method == http.MethodPut }
		return actuatortest.Case{Of: actuatortest.Write, Also: mark, Answer: answer, Want: want}
	}
	return []actuatortest.More{
		{Day: "marker: permission missing for this call alone", Case: of(actuatortest.JSON(403, refused), actuatortest.Want{
			End: actuatortest.Stuck, Says: "mark: PUT", Do: "Grant PUT on the IP; the move is not asked for without its marker. Then `pointsman actions retry`.",
		})},
		{Day: "move: a task in a state that is not known here", Case: actuatortest.Case{
			Of: actuatortest.Beside, Also: func(r *http.Request, _ []byte) bool {
				return strings.Contains(r.URL.Path, "/task/")
			},
			Answer: actuatortest.JSON(200, `{"taskId":1,"status":"frozen","function":"genericMoveFloatingIp"}`), Want: actuatortest.Want{
				End: actuatortest.Open, Says: "frozen", Do: "Look at the task at OVH. It is asked for every 10 s.",
			},
		}},
	}
}

func badCases() map[actuatortest.Day]actuatortest.Case {
	type (
		of   = actuatortest.Case
		want = actuatortest.Want
	)
	json := actuatortest.JSON
	return map[actuatortest.Day]of{
		actuatortest.WrongType:   {Answer: json(200, `{"ip":"203.0.113.9/32","description":7,"routedTo":"{secret}"}`)},
		actuatortest.ErrorInLook: {Answer: json(200, inside), Want: want{Says: "an error inside"}},
		actuatortest.Missing:     {Answer: json(404, `{"class":"Client::NotFound","message":"This service does not exist"}`)},
		actuatortest.UnknownWord: {
			Change: func(body []byte) []byte {
				return []byte(strings.ReplaceAll(string(body), `"ip"`, `"type":"hyperspace","ip"`))
			},
			Want: want{End: actuatortest.Done, Do: "Nothing: no word in this answer decides anything."},
		},
		actuatortest.NoRightToLook: {Answer: json(403, refused), Want: want{Says: "NOT_GRANTED_CALL"}},
		actuatortest.Revoked:       {Do: turn(func(k *cloud.Knobs) { k.KeyTrouble = cloud.KeyTurnedDown }), Want: want{Says: "INVALID_CREDENTIAL"}},
		actuatortest.Expired:       {Do: turn(func(k *cloud.Knobs) { k.KeyTrouble = cloud.KeyOver }), Want: want{Says: "INVALID_CREDENTIAL"}},
		actuatortest.Skewed: {Do: turn(func(k *cloud.Knobs) { k.ClockSkew = time.Hour }), Want: want{
			Do: "Nothing: requests are signed with OVH's own time. Should it refuse that all the same, the reason says `QUERY_TIME_OUT` and it is tried again.",
		}},
		actuatortest.NoRightToWrite: {Also: move, Answer: json(403, refused), Want: want{Says: "NOT_GRANTED_CALL"}},
		actuatortest.PageToWrite:    {Also: move},
		actuatortest.PageAfterWrite: {Also: move},
		actuatortest.ErrorInWrite:   {Also: move, Answer: json(200, inside), Want: want{Says: "an error inside"}},
		actuatortest.HugeWrite:      {Also: move},
		actuatortest.RedirectWrite:  {Also: move},
		actuatortest.OddWrite:       {Also: move, Answer: json(200, `{"taskId":"{secret}"}`)},
	}
}
