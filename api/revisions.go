package api

import (
	"context"
	"fmt"

	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func (s specService) ListSpecRevisions(ctx context.Context, req *pointsmanv1.ListSpecRevisionsRequest) (*pointsmanv1.ListSpecRevisionsResponse, error) {
	want, err := parseFilter(req.GetFilter(), "actor")
	if err != nil {
		return nil, err
	}
	state, head, err := s.read(ctx, req.GetRead())
	if err != nil {
		return nil, err
	}
	all := state.FormerSpecs()
	if now := state.Spec(); now.Revision > 0 {
		all = append(all, fsm.FormerSpec{Revision: now.Revision, Applied: now.Applied})
	}
	var kept []ranked[fsm.Revision]
	for _, f := range all {
		if want.want("actor", f.Applied.Actor) {
			kept = append(kept, ranked[fsm.Revision]{newest(uint64(f.Revision)), f.Revision})
		}
	}
	cut, next, err := page(kept, req, "spec revisions "+req.GetFilter())
	if err != nil {
		return nil, err
	}
	resp := &pointsmanv1.ListSpecRevisionsResponse{Header: head, NextPageToken: next}
	for _, r := range cut {
		rev, err := specAt(state, uint64(r))
		if err != nil {
			return nil, err
		}
		rev.Spec, rev.Source = nil, ""
		resp.Revisions = append(resp.Revisions, rev)
	}
	return resp, nil
}

// RollbackSpec is an ApplySpec of a text that the log holds. The call's own id
// covers revision and reason, so a repeat makes the same command; a revision
// that was dropped meanwhile is NOT_FOUND, though the first call was done.
func (s specService) RollbackSpec(ctx context.Context, req *pointsmanv1.RollbackSpecRequest) (*pointsmanv1.RollbackSpecResponse, error) {
	state, _, err := s.readLinearizable(ctx)
	if err != nil {
		return nil, err
	}
	old, err := specAt(state, req.GetRevision())
	if err != nil {
		return nil, err
	}
	done, err := s.ApplySpec(ctx, &pointsmanv1.ApplySpecRequest{
		Spec: old.GetSpec(), Source: old.GetSource(), Etag: req.GetEtag(), Reason: rollbackReason(req.GetRevision(), req.GetReason()),
		RequestId: req.GetRequestId(), ValidateOnly: req.GetValidateOnly(),
	})
	if err != nil {
		return nil, err
	}
	return &pointsmanv1.RollbackSpecResponse{
		Header: done.GetHeader(), Revision: done.GetRevision(), Changed: done.GetChanged(), Warnings: done.GetWarnings(),
	}, nil
}

func rollbackReason(to uint64, why string) string {
	said := fmt.Sprintf("rollback to revision %d", to)
	if why == "" {
		return said
	}
	return said + ": " + why
}
