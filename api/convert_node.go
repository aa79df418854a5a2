package api

import (
	"slices"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// selfMessage shows the node that answers.
func (s *Server) selfMessage(state fsm.State, st Status) *pointsmanv1.Node {
	index, hash := s.cfg.Operator.Hash()
	member, _ := state.Member(st.Node)
	return &pointsmanv1.Node{
		Id:             string(st.Node),
		Zone:           st.Zone,
		StoreId:        string(st.Store),
		RaftAddress:    st.Raft,
		GrpcAddress:    st.GRPC,
		HttpAddress:    st.HTTP,
		Role:           st.Role,
		Voter:          slices.Contains(st.Voters, st.Node),
		Term:           uint64(st.Term),
		LastIndex:      st.LastIndex,
		CommitIndex:    st.CommitIndex,
		AppliedIndex:   index,
		StateHash:      hash,
		FirstIndex:     st.FirstIndex,
		SnapshotIndex:  st.SnapshotIndex,
		LastContact:    durationpb.New(st.LastContact),
		Age:            durationpb.New(0),
		Reachable:      true,
		DiskFree:       st.DiskFree,
		DiskFloor:      st.DiskFloor,
		Version:        st.Version,
		CommandVersion: commandVersion(fsm.Kinds()),
		Uptime:         durationpb.New(st.Uptime),
		Degraded:       st.Degraded,
		JoinTime:       stamp(member.Wall),
		Targets:        s.cfg.Fitness.Targets(),
	}
}

// memberMessage shows a node as the log knows it: it could not be asked.
func memberMessage(m fsm.Member, st Status) *pointsmanv1.Node {
	return &pointsmanv1.Node{
		Id:             string(m.Node),
		Zone:           m.Zone,
		StoreId:        string(m.Store),
		RaftAddress:    m.Raft,
		GrpcAddress:    m.GRPC,
		HttpAddress:    m.HTTP,
		Voter:          slices.Contains(st.Voters, m.Node),
		Version:        m.Version,
		CommandVersion: commandVersion(m.Reads),
		JoinTime:       stamp(m.Wall),
	}
}

// commandVersion is the highest command kind of a list: kinds are only added.
func commandVersion(kinds []fsm.Kind) uint32 {
	var version uint32
	for _, k := range kinds {
		version = max(version, uint32(k))
	}
	return version
}
