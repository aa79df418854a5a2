package coordinator

import (
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/sentinel"
)

// TestViewOverTheWire: a view that a peer reports arrives as it was seen. A
// field that the way forgets is noticed here.
func TestViewOverTheWire(t *testing.T) {
	now := time.Now()
	want := sentinel.View{
		Master: "cache", Switching: true, At: now,
		Reports: []sentinel.Report{{
			Sentinel: "10.0.1.10:26379", RunID: "abc", Address: "10.0.1.20:6379", Epoch: 7, Seen: true, Err: "x", At: now.Add(-time.Second),
			Flags: "master,s_down", Failover: true, Tilt: true, Subscribed: true, DownAfter: 5 * time.Second, OtherSentinels: 2,
		}},
		Roles: []sentinel.Role{{
			Address: "10.0.2.20:6379", Role: sentinel.RoleSlave, Err: "y", At: now.Add(-time.Second),
			Offset: 12345, Master: "10.0.1.20:6379", Link: "connected",
		}},
	}
	for _, one := range []any{want.Reports[0], want.Roles[0]} {
		v := reflect.ValueOf(one)
		for i := range v.NumField() {
			switch name := v.Type().Field(i).Name; {
			case name == "Via", name == "Replicas": // who tells stands in the report's envelope; replicas are not judged by
			case v.Field(i).IsZero():
				t.Errorf("%s.%s is not set here, so nothing holds it", v.Type().Name(), name)
			}
		}
	}
	got := viewIn(proto.CloneOf(viewOut("n1", want, now)), now)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}
