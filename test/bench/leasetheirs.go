package main

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
)

// lessees is etcd's side: leases with one key each.
type lessees struct {
	*etcd
	ids    []int64
	spread int // leases that share a stream
}

// newLessees grants leases and puts a key under each, some at a time. It answers
// how many seconds that took.
func newLessees(ctx context.Context, e *etcd, n, spread int) (*lessees, float64, error) {
	l := &lessees{etcd: e, ids: make([]int64, n), spread: spread}
	began := time.Now()
	err := some(n, func(i int) error {
		answer, err := ask(ctx, e.conn, etcdGrant, numbers(int64(calmTTL/time.Second)))
		if err != nil {
			return err
		}
		l.ids[i] = int64(number(answer, 2)) //nolint:gosec // etcd's ids are int64
		_, err = ask(ctx, e.conn, etcdPut, put(fmt.Sprint("lease/", i), fmt.Sprint("worker-", i), l.ids[i]))
		return err
	})
	return l, time.Since(began).Seconds(), err
}

// put is a PutRequest.
func put(key, value string, lease int64) (b []byte) {
	b = protowire.AppendString(protowire.AppendTag(b, 1, protowire.BytesType), key)
	b = protowire.AppendString(protowire.AppendTag(b, 2, protowire.BytesType), value)
	return protowire.AppendVarint(protowire.AppendTag(b, 3, protowire.VarintType), uint64(lease)) //nolint:gosec // bits, not a count
}

// connect implements party.
func (l *lessees) connect(ctx context.Context) (all []pulse, hangUp func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var conns []*grpc.ClientConn
	hangUp = func() {
		cancel()
		for _, conn := range conns {
			conn.Close()
		}
	}
	for i := 0; i < len(l.ids); i += l.spread {
		if len(all)%beatsConn == 0 {
			conn, err := l.dial(l.leader)
			if err != nil {
				hangUp()
				return nil, nil, err
			}
			conns = append(conns, conn)
		}
		all = append(all, &lent{ctx: ctx, conn: conns[len(conns)-1], ids: l.ids[i:min(i+l.spread, len(l.ids))]})
	}
	return all, hangUp, nil
}

// lent is a stream with leases that are renewed in turns.
type lent struct {
	ctx    context.Context //nolint:containedctx // of the stream
	conn   *grpc.ClientConn
	stream grpc.ClientStream
	ids    []int64
	next   int
	answer []byte
}

// beat implements pulse.
func (l *lent) beat() (err error) {
	if l.stream == nil {
		if l.stream, err = l.conn.NewStream(l.ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, etcdRenew); err != nil {
			return err
		}
	}
	id := l.ids[l.next%len(l.ids)]
	l.next++
	req := numbers(id)
	if err := l.stream.SendMsg(&req); err != nil {
		return err
	}
	if err := l.stream.RecvMsg(&l.answer); err != nil {
		return err
	}
	if got, ttl := int64(number(l.answer, 2)), number(l.answer, 3); got != id || ttl == 0 { //nolint:gosec // etcd's ids are int64
		return fmt.Errorf("lease %d of etcd has ended (%d, ttl %d)", id, got, ttl)
	}
	return nil
}
