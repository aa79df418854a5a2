package show

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func TestRanges(t *testing.T) {
	for want, numbers := range map[string][]uint32{
		"": nil, "4": {4}, "0-3": {3, 1, 0, 2}, "0, 2-3, 7": {7, 3, 0, 2}, "9-10": {10, 9},
	} {
		if got := ranges(numbers); got != want {
			t.Errorf("%v: %q, want %q", numbers, got, want)
		}
	}
}

func TestLeasesAndPools(t *testing.T) {
	held, draining := pointsmanv1.LeaseState_LEASE_STATE_HELD, pointsmanv1.LeaseState_LEASE_STATE_DRAINING
	locked, free := pointsmanv1.LeaseState_LEASE_STATE_LOCKED, pointsmanv1.LeaseState_LEASE_STATE_FREE
	leases := []*pointsmanv1.Lease{
		{Id: "w/0", State: held, Worker: "b", Zone: "z2", Token: 12, Session: 8, Address: "10.0.0.1:6379"},
		{Id: "w/1", Partition: 1, State: draining, Worker: "a", Token: 11, Session: 7, Reason: "moves to b"},
		{Id: "w/2", Partition: 2, State: locked, Worker: "a", Token: 10, Session: 5, Reason: "its session ended",
			Checkpoint: &pointsmanv1.Checkpoint{Version: 4, Token: 9, Data: []byte("\x1b[31m")}},
		{Id: "w/3", Partition: 3, State: free, Token: 9, Reason: "released"},
		{Id: "w/4", Partition: 4, State: free},
		{Id: "w/5", Partition: 5, State: held, Worker: "b", Zone: "z2", Token: 13, Session: 8},
	}
	pool := &pointsmanv1.Pool{Id: "w", Master: "cache", Address: "10.0.0.1:6379", Partitions: 6, Held: 2, Draining: 1, Locked: 1, Free: 2, Sessions: 2,
		Ttl: durationpb.New(15 * time.Second), Drain: durationpb.New(10 * time.Second), LockDelay: durationpb.New(5 * time.Second), Moves: 4, SuspendedBy: "cache/7"}
	var out bytes.Buffer
	p := &Printer{Out: &out, Format: Table}
	p.Pools([]*pointsmanv1.Pool{pool})
	p.Pool(&pointsmanv1.GetPoolResponse{Pool: pool, Sessions: []*pointsmanv1.Session{{Id: 8, Worker: "b", Zone: "z2"}, {Id: 9, Worker: "c"}}}, leases)
	p.Leases(leases)
	p.Lease(leases[1])
	p.Lease(leases[2])
	p.Lease(leases[3])
	p.Lease(leases[4])
	p.LeaseEvent(leases[2])
	want := `POOL  MASTER  ADDRESS        PARTITIONS  HELD  DRAINING  LOCKED  FREE  SESSIONS  STATE
w     cache   10.0.0.1:6379  6           2     1         1       2     2         held back by cache/7
POOL w  held back by cache/7
master cache   address 10.0.0.1:6379
ttl 15s   drain 10s   lock delay 5.0s   moves at once 4
6 partitions   held 2   draining 1   locked 1   free 2

WORKER  ZONE  HOLDS  PARTITIONS
a       -     1      1
b       z2    2      0, 5
c       -     0      -
LEASE  STATE     WORKER  ZONE  TOKEN  ADDRESS        REASON
w/0    held      b       z2    12     10.0.0.1:6379  -
w/1    draining  a       -     11     -              moves to b
w/2    locked    a       -     10     -              its session ended
w/3    free      -       -     9      -              released
w/4    free      -       -     -      -              -
w/5    held      b       z2    13     -              -
LEASE w/1  draining
held by a   zone -   session 7
token 11   address -
last change at index 0, -: moves to b
LEASE w/2  locked
last held by a   zone -   session 5
token 10   address -
last change at index 0, -: its session ended
checkpoint version 4   of token 9   5 bytes
LEASE w/3  free
token 9   address -
last change at index 0, -: released
LEASE w/4  free
never granted
w/2  locked  token 10  a  (its session ended)
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s\nfirst difference at line %d", got, want, difference(got, want))
	}
}

func difference(a, b string) int {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return i + 1
		}
	}
	return min(len(x), len(y)) + 1
}
