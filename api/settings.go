package api

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/grpc"

	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

type settingService struct {
	pointsmanv1.UnimplementedSettingServiceServer
	*Server
}

func (s settingService) ListSettings(ctx context.Context, req *pointsmanv1.ListSettingsRequest) (*pointsmanv1.ListSettingsResponse, error) {
	f, err := parseFilter(req.GetFilter(), "source")
	if err != nil {
		return nil, err
	}
	state, head, err := s.read(ctx, req.GetRead())
	if err != nil {
		return nil, err
	}
	var found []ranked[fsm.Setting]
	for _, v := range state.Settings(req.GetPrefix()) {
		if f.want("source", string(v.Owner)) {
			found = append(found, ranked[fsm.Setting]{v.Key, v})
		}
	}
	cut, next, err := page(found, req, "settings "+req.GetPrefix()+" "+req.GetFilter())
	if err != nil {
		return nil, err
	}
	resp := &pointsmanv1.ListSettingsResponse{Header: head, NextPageToken: next}
	for _, v := range cut {
		resp.Settings = append(resp.Settings, settingMessage(v))
	}
	return resp, nil
}

func (s settingService) GetSetting(ctx context.Context, req *pointsmanv1.GetSettingRequest) (*pointsmanv1.GetSettingResponse, error) {
	state, head, err := s.read(ctx, req.GetRead())
	if err != nil {
		return nil, err
	}
	v, ok := state.Setting(req.GetKey())
	if !ok {
		return nil, notFound("setting", req.GetKey())
	}
	return &pointsmanv1.GetSettingResponse{Header: head, Setting: settingMessage(v)}, nil
}

// PutSetting answers what this call wrote, also when it is repeated after
// somebody else wrote the key.
func (s settingService) PutSetting(ctx context.Context, req *pointsmanv1.PutSettingRequest) (*pointsmanv1.PutSettingResponse, error) {
	if err := unsealed(req.GetKey()); err != nil {
		return nil, err
	}
	c, err := s.commit(ctx, req, fsm.PutSetting{Key: req.GetKey(), Value: req.GetValue(), IfRevision: req.ExpectedRevision})
	if err != nil {
		return nil, s.owned(req.GetKey(), err)
	}
	v, _ := c.state.Setting(req.GetKey())
	if v.Revision != c.answer.Index {
		v = fsm.Setting{Key: req.GetKey(), Value: req.GetValue(), Revision: c.answer.Index}
	}
	return &pointsmanv1.PutSettingResponse{Header: c.header, Setting: settingMessage(v)}, nil
}

func (s settingService) DeleteSetting(ctx context.Context, req *pointsmanv1.DeleteSettingRequest) (*pointsmanv1.DeleteSettingResponse, error) {
	if err := unsealed(req.GetKey()); err != nil {
		return nil, err
	}
	c, err := s.commit(ctx, req, fsm.DeleteSetting{Key: req.GetKey(), IfRevision: req.ExpectedRevision})
	if err != nil {
		return nil, s.owned(req.GetKey(), err)
	}
	return &pointsmanv1.DeleteSettingResponse{Header: c.header}, nil
}

// unsealed refuses a key that the program keeps for a target.
func unsealed(key string) error {
	if t, ok := fsm.Sealed(key); ok {
		return refusal(&fsm.Refused{Refusal: fsm.ErrOwned, Detail: fmt.Sprintf("%s is kept by the program for target %s", key, t)})
	}
	return nil
}

// owned adds to a refusal whose key it is, for programs.
func (s settingService) owned(key string, err error) error {
	var r *fsm.Refused
	if !errors.As(err, &r) || r.Refusal != fsm.ErrOwned {
		return err
	}
	f := refusal(r)
	if m, ok := fsm.Reserved(key); ok {
		f.facts = map[string]string{"master": string(m)}
		return f
	}
	state, _ := s.cfg.Log.Watch()
	if m, step, ok := state.Spec().Writer(fsm.SettingObject(key)); ok {
		f.facts = map[string]string{"master": string(m), "step": step.Name}
	}
	return f
}

func (s settingService) WatchSettings(req *pointsmanv1.WatchSettingsRequest, stream grpc.ServerStreamingServer[pointsmanv1.WatchSettingsResponse]) error {
	w := watch[*pointsmanv1.WatchSettingsResponse]{
		collect: func(was, now fsm.State, _ uint64) []event[*pointsmanv1.WatchSettingsResponse] {
			return settingEvents(was, now, req.GetPrefix())
		},
		bookmark: func(index uint64) *pointsmanv1.WatchSettingsResponse {
			mark := &pointsmanv1.Bookmark{AppliedIndex: index}
			return &pointsmanv1.WatchSettingsResponse{Event: &pointsmanv1.WatchSettingsResponse_Bookmark{Bookmark: mark}}
		},
		stamp: func(m *pointsmanv1.WatchSettingsResponse, h *pointsmanv1.ResponseHeader, token string) {
			m.Header, m.ResumeToken = h, token
		},
		send: stream.Send,
		from: s.kept.at,
		sent: s.kept.keep,
	}
	return w.run(stream.Context(), s.Server, req.GetResumeToken())
}

// settingEvents compares two states. All events have the index of the newer
// one: a removed setting has no index of its own, and a token between the two
// would name a state that nobody holds.
func settingEvents(was, now fsm.State, prefix string) (events []event[*pointsmanv1.WatchSettingsResponse]) {
	for _, v := range now.Settings(prefix) {
		if old, ok := was.Setting(v.Key); ok && old.Revision == v.Revision {
			continue
		}
		m := &pointsmanv1.WatchSettingsResponse{Event: &pointsmanv1.WatchSettingsResponse_Setting{Setting: settingMessage(v)}}
		events = append(events, event[*pointsmanv1.WatchSettingsResponse]{now.Index(), v.Key, m})
	}
	for _, v := range was.Settings(prefix) {
		if _, ok := now.Setting(v.Key); ok {
			continue
		}
		m := &pointsmanv1.WatchSettingsResponse{Event: &pointsmanv1.WatchSettingsResponse_Deleted{Deleted: v.Key}}
		events = append(events, event[*pointsmanv1.WatchSettingsResponse]{now.Index(), v.Key, m})
	}
	return events
}

// maxKept bounds the states that a watch of settings may be resumed from. A
// state shares nearly all its memory with its neighbours.
const maxKept = 256

// keptStates holds the states up to which some watcher was told, oldest first.
type keptStates struct {
	mu     sync.Mutex
	states []fsm.State
}

func (k *keptStates) keep(s fsm.State) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := len(k.states) - 1; i >= 0; i-- {
		if k.states[i].Index() == s.Index() && k.states[i].Generation() == s.Generation() {
			return
		}
	}
	if len(k.states) >= maxKept {
		k.states = append(k.states[:0], k.states[1:]...)
	}
	k.states = append(k.states, s)
}

func (k *keptStates) at(c cursor) (fsm.State, bool) {
	if c.index == 0 {
		return fsm.New(), true
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.states {
		if s.Index() == c.index && s.Generation() == c.generation {
			return s, true
		}
	}
	return fsm.State{}, false
}
