package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/pointsman/pointsman/test/clouds/lab"
)

// etcd is three members, processes of their own.
type etcd struct {
	dir     string
	members []*exec.Cmd
	clients []string // addresses for clients
	leader  string
	conn    *grpc.ClientConn // to the leader
}

// etcdWithin bounds the start of a cluster.
const etcdWithin = time.Minute

// newEtcd starts the members and finds their leader.
func newEtcd(ctx context.Context, program string) (_ *etcd, err error) {
	e := &etcd{}
	if e.dir, err = os.MkdirTemp("", "pointsman-bench-etcd-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	ports, err := freePorts(6)
	if err != nil {
		return nil, err
	}
	var all []string
	for i := range 3 {
		all = append(all, fmt.Sprintf("m%d=%d/%d", i, ports[2*i], ports[2*i+1]))
		e.clients = append(e.clients, fmt.Sprint("127.0.0.1:", ports[2*i]))
	}
	for i := range 3 {
		name := fmt.Sprint("m", i)
		cmd := exec.CommandContext(ctx, program, append([]string{filepath.Join(e.dir, name), name}, all...)...)
		cmd.Stderr = os.Stderr
		if _, err := cmd.StdinPipe(); err != nil { // held until it has ended
			return nil, err
		}
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		e.members = append(e.members, cmd)
	}
	return e, lab.Until(ctx, etcdWithin, "a leader of etcd", e.lead)
}

// freePorts are ports that nobody listens on now.
func freePorts(n int) (list []int, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() //nolint:revive // all until each is drawn
		list = append(list, l.Addr().(*net.TCPAddr).Port)
	}
	return list, nil
}

// dial connects to a member. Messages are bytes as they are: etcd's own types
// stay out of this module.
func (e *etcd) dial(address string) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
}

// lead connects to the member that leads.
func (e *etcd) lead(ctx context.Context) error {
	for _, at := range e.clients {
		conn, err := e.dial(at)
		if err != nil {
			return err
		}
		s, err := statusOf(ctx, conn)
		if err == nil && s.leader != 0 && s.leader == s.member {
			e.conn, e.leader = conn, at
			return nil
		}
		conn.Close()
	}
	return errors.New("none leads")
}

// last implements nodes.
func (e *etcd) last(ctx context.Context) (uint64, error) {
	s, err := statusOf(ctx, e.conn)
	return s.index, err
}

// pids implements nodes.
func (e *etcd) pids() (list []int) {
	for _, m := range e.members {
		list = append(list, m.Process.Pid)
	}
	return list
}

func (e *etcd) Close() error {
	if e.conn != nil {
		e.conn.Close()
	}
	for _, m := range e.members {
		_ = m.Process.Kill()
		_ = m.Wait() // killed, it says
	}
	return os.RemoveAll(e.dir)
}

// What is asked of etcd.
const (
	etcdGrant  = "/etcdserverpb.Lease/LeaseGrant"
	etcdRenew  = "/etcdserverpb.Lease/LeaseKeepAlive"
	etcdPut    = "/etcdserverpb.KV/Put"
	etcdStatus = "/etcdserverpb.Maintenance/Status"
)

// raw is a codec that leaves messages as they are. It is called "proto" since
// that is what they are.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (raw) Unmarshal(b []byte, v any) error {
	*v.(*[]byte) = append((*v.(*[]byte))[:0], b...)
	return nil
}
func (raw) Name() string { return "proto" }

// ask makes a unary call.
func ask(ctx context.Context, conn *grpc.ClientConn, method string, req []byte) (answer []byte, err error) {
	err = conn.Invoke(ctx, method, &req, &answer)
	return answer, err
}

// numbers writes fields that are numbers, in their order from 1.
func numbers(all ...int64) (b []byte) {
	for i, v := range all {
		b = protowire.AppendVarint(protowire.AppendTag(b, protowire.Number(i+1), protowire.VarintType), uint64(v)) //nolint:gosec // bits, not a count
	}
	return b
}

// number reads a field that is a number; 0 when it is not there.
func number(b []byte, field protowire.Number) (v uint64) {
	walk(b, func(n protowire.Number, varint uint64, _ []byte) {
		if n == field {
			v = varint
		}
	})
	return v
}

// header reads the message in field 1.
func header(b []byte) (inner []byte) {
	walk(b, func(n protowire.Number, _ uint64, bytes []byte) {
		if n == 1 {
			inner = bytes
		}
	})
	return inner
}

func walk(b []byte, do func(n protowire.Number, varint uint64, bytes []byte)) {
	for len(b) > 0 {
		n, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return
		}
		b = b[size:]
		rest := protowire.ConsumeFieldValue(n, kind, b)
		if rest < 0 {
			return
		}
		varint, _ := protowire.ConsumeVarint(b)
		bytes, _ := protowire.ConsumeBytes(b)
		do(n, varint, bytes)
		b = b[rest:]
	}
}

// etcdState is what a member says of itself.
type etcdState struct{ member, leader, index uint64 }

func statusOf(ctx context.Context, conn *grpc.ClientConn) (etcdState, error) {
	b, err := ask(ctx, conn, etcdStatus, nil)
	return etcdState{member: number(header(b), 2), leader: number(b, 4), index: number(b, 5)}, err
}
