package remote

import (
	"context"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Bounds of one status.
const (
	confirmWait  = 2 * time.Second // for a leader's answer, before anybody's is taken
	newestLimit  = 200             // failovers looked through for the newest of each master
	openActions  = 200             // open actions shown
	troubleLimit = 16              // nodes whose silence is told
)

// Status looks at the whole cluster. When no leader confirms an answer it takes
// the stale one of the node that has applied most. The error says that nobody
// answered.
func (s *Session) Status(ctx context.Context) (show.Status, error) {
	asked := s
	cluster, err := s.confirmed(ctx)
	var troubles []string
	if err != nil {
		var address string
		stale, tried, staleErr := s.anyStale(ctx)
		if staleErr != nil {
			return show.Status{}, staleErr
		}
		troubles = append(tried, "no confirmed answer: "+fault.Spoken(err))
		cluster, address = stale.answer, stale.address
		conn, err := s.Node(address)
		if err != nil {
			return show.Status{}, err
		}
		asked = s.through(conn, pointsmanv1.ReadLevel_READ_LEVEL_STALE)
	}
	st := show.Status{Cluster: cluster, Troubles: troubles, Fallback: err != nil}
	asked.fill(ctx, &st)
	return st, nil
}

// through is the same session asking over another connection.
func (s *Session) through(conn grpc.ClientConnInterface, level pointsmanv1.ReadLevel) *Session {
	other := *s
	other.via, other.opts.Level = conn, level
	return &other
}

// OrStale is the session itself when a leader confirms its answers, else the
// same session asking the node that has applied most for what it knows. The
// error says that nobody answered.
func (s *Session) OrStale(ctx context.Context) (*Session, *pointsmanv1.GetClusterResponse, error) {
	cluster, err := s.confirmed(ctx)
	if err == nil {
		return s, cluster, nil
	}
	best, _, err := s.anyStale(ctx)
	if err != nil {
		return nil, nil, err
	}
	conn, err := s.Node(best.address)
	if err != nil {
		return nil, nil, err
	}
	asked := s.through(conn, pointsmanv1.ReadLevel_READ_LEVEL_STALE)
	asked.stale = true
	return asked, best.answer, nil
}

// Fallback reports whether OrStale found nobody who confirms an answer.
func (s *Session) Fallback() bool { return s.stale }

func (s *Session) confirmed(ctx context.Context) (*pointsmanv1.GetClusterResponse, error) {
	ctx, cancel := s.Call(ctx)
	defer cancel()
	ctx, stop := context.WithTimeout(ctx, confirmWait)
	defer stop()
	return pointsmanv1.NewClusterServiceClient(s.Conn()).GetCluster(ctx, &pointsmanv1.GetClusterRequest{Read: s.Read()})
}

// fill adds masters, open actions and newest failovers; what cannot be had is
// a trouble, not an error.
func (s *Session) fill(ctx context.Context, st *show.Status) {
	ctx, cancel := s.Call(ctx)
	defer cancel()
	var err error
	st.Masters, err = s.Masters(ctx, "", 0)
	st.Troubles = trouble(st.Troubles, "masters", err)
	if st.Cluster.GetCluster().GetOpenActions() > 0 {
		st.Actions, err = s.OpenActions(ctx, "", openActions)
		st.Troubles = trouble(st.Troubles, "open actions", err)
	}
	st.Failovers, err = s.Failovers(ctx, "", newestLimit)
	st.Troubles = trouble(st.Troubles, "failovers", err)
}

func trouble(all []string, what string, err error) []string {
	if err == nil || len(all) >= troubleLimit {
		return all
	}
	return append(all, what+": "+fault.Spoken(err))
}

type staleAnswer struct {
	address string
	answer  *pointsmanv1.GetClusterResponse
	err     error
}

// anyStale asks every endpoint at once for what it knows by itself, and takes
// the answer with the highest term, then the highest applied index.
func (s *Session) anyStale(ctx context.Context) (best staleAnswer, tried []string, err error) {
	answers := make([]staleAnswer, len(s.opts.Endpoints))
	var wg sync.WaitGroup
	for i, address := range s.opts.Endpoints {
		conn, err := s.Node(address)
		if err != nil {
			answers[i] = staleAnswer{address: address, err: err}
			continue
		}
		wg.Go(func() { answers[i] = s.askStale(ctx, conn, address) })
	}
	wg.Wait()
	for _, a := range answers {
		if a.err != nil {
			err = a.err
			tried = trouble(tried, a.address, a.err)
		} else if best.answer == nil || newer(a.answer, best.answer) {
			best = a
		}
	}
	if best.answer == nil {
		return best, nil, &fault.Error{Code: fault.TryLater, What: "no node answered", Why: strings.Join(tried, "\n"),
			Next: "is the server running? --endpoints names the nodes to ask", Err: err}
	}
	return best, tried, nil
}

func (s *Session) askStale(ctx context.Context, conn grpc.ClientConnInterface, address string) staleAnswer {
	ctx, cancel := s.Call(ctx)
	defer cancel()
	answer, err := pointsmanv1.NewClusterServiceClient(conn).GetCluster(ctx, &pointsmanv1.GetClusterRequest{
		Read: &pointsmanv1.ReadOptions{Level: pointsmanv1.ReadLevel_READ_LEVEL_STALE},
	})
	return staleAnswer{address: address, answer: answer, err: err}
}

func newer(a, b *pointsmanv1.GetClusterResponse) bool {
	if a.GetHeader().GetTerm() != b.GetHeader().GetTerm() {
		return a.GetHeader().GetTerm() > b.GetHeader().GetTerm()
	}
	return a.GetHeader().GetAppliedIndex() > b.GetHeader().GetAppliedIndex()
}
