package httpcall_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/pointsman/pointsman/actuators/actuatortest"
	"github.com/pointsman/pointsman/actuators/httpcall"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// TestBadDays: what an event stands at when its endpoint, or what lies between,
// does what it should not; once for an endpoint with a check, once for one
// whose answer is all there is to see.
func TestBadDays(t *testing.T) {
	for name, of := range map[string]struct {
		repeat pb.Repeat
		check  string
		cases  map[actuatortest.Day]actuatortest.Case
	}{
		"http, with a check": {pb.Repeat_REPEAT_READABLE, "/current", checkedCases()},
		"http, keyed":        {pb.Repeat_REPEAT_KEYED, "", keyedCases()},
	} {
		t.Run(name, func(t *testing.T) {
			actuatortest.RunBadDays(t, actuatortest.Bad{
				Kind: name, Sort: sortOf, ID: "X-Request-Id", Cases: of.cases, Heal: func(w actuatortest.World) { clockOf(w, 0) },
				Open: func(t *testing.T, scheme string, through func(actuatortest.Dial) actuatortest.Dial) actuatortest.World {
					t.Helper()
					return badWorld(t, scheme, through, of.repeat, of.check)
				},
			})
		})
	}
}

func badWorld(t *testing.T, scheme string, through func(actuatortest.Dial) actuatortest.Dial, repeat pb.Repeat, check string) actuatortest.World {
	t.Helper()
	w := world(t, repeat, check)
	e := w.Outside.(*endpoint)
	e.strict = true
	w.Kind = httpcall.New(httpcall.Config{Dial: through(e.net.Dial), Getenv: func(string) string { return secret }, Now: e.theirs})
	target := &pb.HttpTarget{Url: scheme + "://hooks.example.net/redis", Secret: "env:HOOK", Allow: []string{"10.0.0.0/8"}}
	w.TargetOf, w.Target.Params = target, encode(t, target)
	return w
}

func sortOf(r *http.Request, _ []byte) actuatortest.Sort {
	if r.Method == http.MethodGet {
		return actuatortest.Look
	}
	return actuatortest.Write
}

// clockOf sets this node's clock off by a span.
func clockOf(w actuatortest.World, by time.Duration) {
	e := w.Outside.(*endpoint)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.skew = by
}

const denied = `{"error":"signature of {secret} is not accepted"}`

// posted are the cases of the event itself.
func posted() map[actuatortest.Day]actuatortest.Case {
	type (
		of   = actuatortest.Case
		want = actuatortest.Want
	)
	json := actuatortest.JSON
	const does = "Put the secret that the endpoint knows where the target's reference points, on each node; then `pointsman actions retry`."
	return map[actuatortest.Day]of{
		actuatortest.Revoked: {Of: actuatortest.Write, Answer: json(401, denied), Want: want{Do: does}},
		actuatortest.Expired: {None: "The secret has no end of its own."},
		actuatortest.Skewed: {Do: func(w actuatortest.World) { clockOf(w, time.Hour) }, Want: want{
			End: actuatortest.Stuck, Says: "this node's clock is 1h0m0s ahead of the endpoint's",
			Do: "Mend this node's clock (`timedatectl`); then `pointsman actions retry`. An endpoint that refuses old timestamps goes by its own clock.",
		}},
		actuatortest.NoRightToWrite: {Answer: json(403, denied)},
		actuatortest.ErrorInWrite:   {Answer: json(200, `{"ok":false,"error":"database of {secret} is down"}`)},
		actuatortest.OddWrite:       {None: "An endpoint answers what it likes; only an error inside, or a page, speaks against a success."},
		actuatortest.RedirectWrite:  {Want: want{Do: "Name the address that the endpoint has now, or set `redirects: true` on the target."}},
	}
}

func checkedCases() map[actuatortest.Day]actuatortest.Case {
	type (
		of   = actuatortest.Case
		want = actuatortest.Want
	)
	json := actuatortest.JSON
	all := posted()
	all[actuatortest.WrongType] = of{Answer: json(200, `{"value":7,"marker":["{secret}"]}`)}
	all[actuatortest.ErrorInLook] = of{Answer: json(200, `{"error":"database of {secret} is down"}`)}
	all[actuatortest.Missing] = of{Answer: json(404, `{"error":"no such path"}`), Want: want{Do: "Mend the step's `check`, or the endpoint; then `pointsman actions retry`."}}
	all[actuatortest.UnknownWord] = of{None: "The check's answer has no words that decide: any value but the wanted one means that an event is due."}
	all[actuatortest.NoRightToLook] = of{Answer: json(403, denied)}
	return all
}

func keyedCases() map[actuatortest.Day]actuatortest.Case {
	type (
		of   = actuatortest.Case
		want = actuatortest.Want
	)
	all := posted()
	for _, d := range []actuatortest.Day{
		actuatortest.WrongType, actuatortest.PageToLook, actuatortest.ErrorInLook, actuatortest.HugeLook, actuatortest.RedirectLook,
		actuatortest.Missing, actuatortest.UnknownWord, actuatortest.NoRightToLook,
	} {
		all[d] = of{None: "Without a check nothing is read."}
	}
	again := want{
		End: actuatortest.Open, Doubt: true, Says: "answer not understood",
		Do: "Find what answers in the endpoint's place. Until an event is clearly answered it is sent again, with the same key.",
	}
	all[actuatortest.PageAfterWrite], all[actuatortest.HugeWrite] = of{Want: again}, of{Want: again}
	return all
}
