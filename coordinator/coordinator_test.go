package coordinator_test

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/pointsman/pointsman/coordinator"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/redis"
)

// port reserves one that no connection of another test is given as its own end;
// the caller binds it later.
func port(t *testing.T) string {
	t.Helper()
	p, err := redis.ReservePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Release)
	return fmt.Sprintf("127.0.0.1:%d", p.Numbers[0])
}

type trio struct {
	t     *testing.T
	cuts  [3]cut
	files []*pointsmanv1.NodeConfig
	nodes []*coordinator.Coordinator
	turn  func(i int, o *coordinator.Options) // nil: as they are
}

func three(t *testing.T) *trio {
	t.Helper()
	return threeOf(t, nil)
}

func threeOf(t *testing.T, turn func(int, *coordinator.Options)) *trio {
	t.Helper()
	tr := &trio{t: t, nodes: make([]*coordinator.Coordinator, 3), turn: turn}
	var peers []*pointsmanv1.Peer
	for _, id := range []string{"a", "b", "c"} {
		peers = append(peers, &pointsmanv1.Peer{Id: id, Zone: "zone-" + id, Raft: port(t)})
	}
	dir := t.TempDir()
	for _, p := range peers {
		grpc, http := port(t), port(t)
		tr.files = append(tr.files, &pointsmanv1.NodeConfig{
			Id: p.GetId(), Zone: p.GetZone(), DataDir: filepath.Join(dir, p.GetId()), Peers: peers, DiskFloor: 1,
			Listen:    &pointsmanv1.Listen{Raft: p.GetRaft(), Grpc: grpc, Http: http},
			Advertise: &pointsmanv1.Advertise{Raft: p.GetRaft(), Grpc: grpc, Http: http},
		})
	}
	for i := range tr.files {
		tr.start(i)
	}
	t.Cleanup(func() {
		for i := range tr.nodes {
			tr.stop(i)
		}
	})
	return tr
}

func (tr *trio) start(i int) {
	tr.t.Helper()
	o := coordinator.Options{Node: tr.files[i], Kinds: kinds(), Version: "test", Dial: tr.cuts[i].dial}
	if tr.turn != nil {
		tr.turn(i, &o)
	}
	c, err := coordinator.Start(tr.t.Context(), o)
	if err != nil {
		tr.t.Fatal(err)
	}
	tr.nodes[i] = c
}

func (tr *trio) stop(i int) {
	if tr.nodes[i] == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := tr.nodes[i].Close(ctx); err != nil {
		tr.t.Errorf("close %s: %v", tr.files[i].GetId(), err)
	}
	if err := tr.nodes[i].Wait(); err != nil {
		tr.t.Errorf("node %s: %v", tr.files[i].GetId(), err)
	}
	tr.nodes[i] = nil
}

func (tr *trio) dial(i int) *grpc.ClientConn {
	tr.t.Helper()
	conn, err := grpc.NewClient(tr.files[i].GetListen().GetGrpc(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		tr.t.Fatal(err)
	}
	tr.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func eventually(t *testing.T, what string, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var err error
	for ctx.Err() == nil {
		if err = f(ctx); err == nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Fatalf("%s: %v", what, err)
}

// TestThreeNodes takes three nodes over real sockets through the calls that
// need no Redis: a write through each node, a graceful stop, a restart.
func TestThreeNodes(t *testing.T) {
	tr := three(t)
	put := func(i int) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := pointsmanv1.NewSettingServiceClient(tr.dial(i)).PutSetting(ctx, &pointsmanv1.PutSettingRequest{
				Key: fmt.Sprintf("by/%d", i), Value: "1",
			})
			return err
		}
	}
	for i := range tr.files {
		eventually(t, "put through "+tr.files[i].GetId(), put(i))
	}
	leader := tr.leader()
	tr.stop(leader)
	other := (leader + 1) % 3
	began := time.Now()
	eventually(t, "put after the leader left", put(other))
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("a graceful stop cost %s", took)
	}
	tr.start(leader)
	eventually(t, "the node that came back has everything", func(ctx context.Context) error {
		got, err := pointsmanv1.NewSettingServiceClient(tr.dial(leader)).ListSettings(ctx, &pointsmanv1.ListSettingsRequest{})
		if err == nil && len(got.GetSettings()) != 3 {
			err = fmt.Errorf("%d settings", len(got.GetSettings()))
		}
		return err
	})
	var hashes []string
	eventually(t, "equal hashes at equal index", func(ctx context.Context) error {
		hashes = nil
		for i := range tr.files {
			v, err := pointsmanv1.NewClusterServiceClient(tr.dial(i)).VerifyNode(ctx, &pointsmanv1.VerifyNodeRequest{})
			if err != nil {
				return err
			}
			hashes = append(hashes, fmt.Sprintf("%d %x", v.GetStateIndex(), v.GetStateHash()))
		}
		if hashes[0] != hashes[1] || hashes[1] != hashes[2] {
			return fmt.Errorf("%q", hashes)
		}
		return nil
	})
}

func (tr *trio) leader() (index int) {
	eventually(tr.t, "a leader", func(ctx context.Context) error {
		got, err := pointsmanv1.NewClusterServiceClient(tr.dial(0)).GetCluster(ctx, &pointsmanv1.GetClusterRequest{})
		if err != nil {
			return err
		}
		for i, f := range tr.files {
			if f.GetId() == got.GetCluster().GetLeaderId() {
				index = i
				return nil
			}
		}
		return fmt.Errorf("leader %q", got.GetCluster().GetLeaderId())
	})
	return index
}

func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	n := &pointsmanv1.NodeConfig{Id: "a", DataDir: t.TempDir(), Listen: &pointsmanv1.Listen{Raft: port(t), Grpc: l.Addr().String(), Http: port(t)}}
	if _, err := coordinator.Start(t.Context(), coordinator.Options{Node: n}); err == nil {
		t.Fatal("started on a taken port")
	} else {
		t.Log(err)
	}
}
