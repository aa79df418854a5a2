package journal

import (
	"fmt"
	"maps"
	"math"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/fsm"
	journalv1 "github.com/pointsman/pointsman/proto/journal/v1"
)

// EncodeCommand writes the message of a command, without its entry.
func EncodeCommand(c fsm.Command) ([]byte, error) {
	m, err := commandOut(c)
	if err != nil {
		return nil, err
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", c.Kind(), err)
	}
	return data, nil
}

// DecodeCommand reads the message of a command of the given kind.
func DecodeCommand(kind uint32, payload []byte) (fsm.Command, error) {
	if kind == 0 || kind > math.MaxUint8 {
		return nil, fmt.Errorf("%w: command kind %d", ErrNewer, kind)
	}
	read, ok := readers()[fsm.Kind(kind)]
	if !ok {
		return nil, fmt.Errorf("%w: command kind %d", ErrNewer, kind)
	}
	return read(payload)
}

func commandOut(c fsm.Command) (proto.Message, error) {
	switch c := c.(type) {
	case fsm.InitCluster:
		return &journalv1.InitCluster{Cluster: string(c.Cluster)}, nil
	case fsm.PutMember:
		return &journalv1.PutMember{Member: memberOut(c.Member)}, nil
	case fsm.PutSpec:
		return &journalv1.PutSpec{Spec: specOut(c.Spec), IfRevision: uint64(c.IfRevision), Keep: int64(c.Keep), Reason: c.Reason}, nil
	case fsm.Observe:
		return observeOut(c), nil
	case fsm.Claim:
		return &journalv1.Claim{Action: string(c.Action), Term: uint64(c.Term), ActNs: int64(c.Act), Version: c.Version, Expired: tokensOut(c.Expired)}, nil
	case fsm.Release:
		return &journalv1.Release{Object: string(c.Object), Token: uint64(c.Token), Expired: c.Expired}, nil
	case fsm.Settle:
		return settleOut(c), nil
	case fsm.Retry:
		return &journalv1.Retry{Action: string(c.Action), Reason: c.Reason}, nil
	case fsm.Abandon:
		return &journalv1.Abandon{Action: string(c.Action), Reason: c.Reason}, nil
	case fsm.NoteDrift:
		return &journalv1.NoteDrift{Action: string(c.Action), Found: c.Found, Repair: c.Repair, Mend: c.Mend}, nil
	case fsm.NoteState:
		return &journalv1.NoteState{Term: uint64(c.Term), Notes: each(c.Notes, func(n fsm.Note) *journalv1.Note {
			return &journalv1.Note{Master: string(n.Master), Base: uint64(n.Base), Sight: uint32(n.Sight), Reason: n.Reason}
		})}, nil
	case fsm.AskSwitchover:
		return askOut(c), nil
	case fsm.NoteSwitchover:
		return &journalv1.NoteSwitchover{Master: string(c.Master), Token: uint64(c.Token), To: uint32(c.To), Detail: c.Detail}, nil
	case fsm.NoteScore:
		return noteScoreOut(c), nil
	case fsm.OpenSession:
		return openSessionOut(c), nil
	case fsm.CloseSessions:
		return closeSessionsOut(c), nil
	case fsm.GrantLeases:
		return grantLeasesOut(c), nil
	case fsm.MoveLeases:
		return moveLeasesOut(c), nil
	case fsm.SaveCheckpoint:
		return saveCheckpointOut(c), nil
	case fsm.PutSetting:
		return &journalv1.PutSetting{Key: c.Key, Value: c.Value, IfRevision: c.IfRevision}, nil
	case fsm.DeleteSetting:
		return &journalv1.DeleteSetting{Key: c.Key, IfRevision: c.IfRevision}, nil
	default:
		return nil, fmt.Errorf("command %T has no form in the journal", c)
	}
}

type reader func(payload []byte) (fsm.Command, error)

// reading makes a reader out of a message type and its conversion.
func reading[M any, P interface {
	*M
	proto.Message
}](in func(P) fsm.Command) reader {
	return func(payload []byte) (fsm.Command, error) {
		m := P(new(M))
		if err := unmarshal(payload, m); err != nil {
			return nil, err
		}
		return in(m), nil
	}
}

// readers lists what this release can read. A test holds it against fsm.Kinds.
func readers() map[fsm.Kind]reader {
	all := map[fsm.Kind]reader{
		fsm.KindInitCluster: reading(func(m *journalv1.InitCluster) fsm.Command {
			return fsm.InitCluster{Cluster: fsm.ClusterID(m.GetCluster())}
		}),
		fsm.KindMember: reading(func(m *journalv1.PutMember) fsm.Command {
			return fsm.PutMember{Member: memberIn(m.GetMember())}
		}),
		fsm.KindPutSpec: reading(func(m *journalv1.PutSpec) fsm.Command {
			return fsm.PutSpec{Spec: specIn(m.GetSpec()), IfRevision: fsm.Revision(m.GetIfRevision()), Keep: int(m.GetKeep()), Reason: m.GetReason()}
		}),
		fsm.KindObserve: reading(observeIn),
		fsm.KindClaim: reading(func(m *journalv1.Claim) fsm.Command {
			return fsm.Claim{
				Action: fsm.ActionID(m.GetAction()), Term: fsm.Term(m.GetTerm()), Act: time.Duration(m.GetActNs()),
				Version: m.GetVersion(), Expired: tokensIn(m.GetExpired()),
			}
		}),
		fsm.KindRelease: reading(func(m *journalv1.Release) fsm.Command {
			return fsm.Release{Object: fsm.ObjectID(m.GetObject()), Token: fsm.Token(m.GetToken()), Expired: m.GetExpired()}
		}),
		fsm.KindSettle: reading(settleIn),
		fsm.KindRetry: reading(func(m *journalv1.Retry) fsm.Command {
			return fsm.Retry{Action: fsm.ActionID(m.GetAction()), Reason: m.GetReason()}
		}),
		fsm.KindAbandon: reading(func(m *journalv1.Abandon) fsm.Command {
			return fsm.Abandon{Action: fsm.ActionID(m.GetAction()), Reason: m.GetReason()}
		}),
		fsm.KindPutSetting: reading(func(m *journalv1.PutSetting) fsm.Command {
			return fsm.PutSetting{Key: m.GetKey(), Value: m.GetValue(), IfRevision: m.IfRevision}
		}),
		fsm.KindNoteDrift: reading(func(m *journalv1.NoteDrift) fsm.Command {
			return fsm.NoteDrift{Action: fsm.ActionID(m.GetAction()), Found: m.GetFound(), Repair: m.GetRepair(), Mend: m.GetMend()}
		}),
		fsm.KindNoteState: reading(func(m *journalv1.NoteState) fsm.Command {
			return fsm.NoteState{Term: fsm.Term(m.GetTerm()), Notes: each(m.GetNotes(), func(n *journalv1.Note) fsm.Note {
				return fsm.Note{Master: fsm.MasterID(n.GetMaster()), Base: fsm.Number(n.GetBase()), Sight: fsm.Sight(small(n.GetSight())), Reason: n.GetReason()}
			})}
		}),
		fsm.KindAskSwitchover:  reading(askIn),
		fsm.KindNoteSwitchover: reading(noteSwitchoverIn),
		fsm.KindNoteScore:      reading(noteScoreIn),
		fsm.KindDeleteSetting: reading(func(m *journalv1.DeleteSetting) fsm.Command {
			return fsm.DeleteSetting{Key: m.GetKey(), IfRevision: m.IfRevision}
		}),
	}
	maps.Copy(all, leaseReaders())
	return all
}

func observeOut(c fsm.Observe) *journalv1.Observe {
	return &journalv1.Observe{
		Master: string(c.Master), Base: uint64(c.Base), Revision: uint64(c.Revision), Address: string(c.Address),
		Epoch: uint64(c.Epoch), As: uint32(c.As), Evidence: c.Evidence, Term: uint64(c.Term), SeenNs: int64(c.Seen),
		Values: each(c.Values, func(v fsm.Value) *journalv1.Value {
			return &journalv1.Value{Step: v.Step, Value: v.Value, Wanted: v.Wanted}
		}),
		Claims: each(c.Claims, func(r fsm.Ride) *journalv1.Ride {
			return &journalv1.Ride{Step: r.Step, ActNs: int64(r.Act), Version: r.Version, Expired: tokensOut(r.Expired)}
		}),
	}
}

func observeIn(m *journalv1.Observe) fsm.Command {
	return fsm.Observe{
		Master: fsm.MasterID(m.GetMaster()), Base: fsm.Number(m.GetBase()), Revision: fsm.Revision(m.GetRevision()),
		Address: fsm.Address(m.GetAddress()), Epoch: fsm.Epoch(m.GetEpoch()), As: fsm.ObservedAs(small(m.GetAs())),
		Evidence: m.GetEvidence(), Term: fsm.Term(m.GetTerm()), Seen: time.Duration(m.GetSeenNs()),
		Values: each(m.GetValues(), func(v *journalv1.Value) fsm.Value {
			return fsm.Value{Step: v.GetStep(), Value: v.GetValue(), Wanted: v.GetWanted()}
		}),
		Claims: each(m.GetClaims(), func(r *journalv1.Ride) fsm.Ride {
			return fsm.Ride{Step: r.GetStep(), Act: time.Duration(r.GetActNs()), Version: r.GetVersion(), Expired: tokensIn(r.GetExpired())}
		}),
	}
}

func settleOut(c fsm.Settle) *journalv1.Settle {
	m := &journalv1.Settle{
		Action: string(c.Action), Token: uint64(c.Token), To: uint32(c.To), Effect: uint32(c.Effect), AfterNs: int64(c.After),
		Reason: c.Reason, Doubt: c.Doubt, Checkpoint: c.Checkpoint, Requests: c.Requests, FirstNs: int64(c.First), Partial: c.Partial,
		Settings: each(c.Settings, func(w fsm.SettingWrite) *journalv1.SettingWrite {
			return &journalv1.SettingWrite{Key: w.Key, Value: w.Value}
		}),
	}
	if c.Refresh != nil {
		m.Refresh = &journalv1.Refresh{Kind: c.Refresh.Kind, Object: string(c.Refresh.Object), ActNs: int64(c.Refresh.Act)}
	}
	return m
}

func settleIn(m *journalv1.Settle) fsm.Command {
	c := fsm.Settle{
		Action: fsm.ActionID(m.GetAction()), Token: fsm.Token(m.GetToken()), To: fsm.Phase(small(m.GetTo())),
		Effect: fsm.Effect(small(m.GetEffect())), After: time.Duration(m.GetAfterNs()), Reason: m.GetReason(),
		Doubt: m.GetDoubt(), Checkpoint: m.GetCheckpoint(), Requests: m.GetRequests(), First: time.Duration(m.GetFirstNs()), Partial: m.GetPartial(),
		Settings: each(m.GetSettings(), func(w *journalv1.SettingWrite) fsm.SettingWrite {
			return fsm.SettingWrite{Key: w.GetKey(), Value: w.GetValue()}
		}),
	}
	if r := m.GetRefresh(); r != nil {
		c.Refresh = &fsm.Refresh{Kind: r.GetKind(), Object: fsm.ObjectID(r.GetObject()), Act: time.Duration(r.GetActNs())}
	}
	return c
}

func tokensOut(tokens []fsm.Token) []uint64 {
	return each(tokens, func(t fsm.Token) uint64 { return uint64(t) })
}

func tokensIn(tokens []uint64) []fsm.Token {
	return each(tokens, func(t uint64) fsm.Token { return fsm.Token(t) })
}

// each maps a list; an empty one becomes nil, so that a decoded value is the
// same however it came.
func each[A, B any](in []A, to func(A) B) []B {
	if len(in) == 0 {
		return nil
	}
	out := make([]B, len(in))
	for i, v := range in {
		out[i] = to(v)
	}
	return out
}

// small narrows an enumeration's number. One that does not fit becomes 255,
// which no enumeration of fsm uses, instead of wrapping into a valid one.
func small(n uint32) uint8 { return uint8(min(n, math.MaxUint8)) }
