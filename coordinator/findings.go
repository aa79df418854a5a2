package coordinator

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/executor"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Codes of the alerts about objects that no failover of ours has written yet.
const (
	AlertNotOurs    = "OBJECT_NOT_OURS"   // somebody else's mark stands there, and the next failover would be stuck at it
	AlertUnreadable = "OBJECT_UNREADABLE" // whose it is could not be read
	AlertMissing    = "OBJECT_MISSING"    // what should stand whether or not a failover comes does not
)

// Bounds of what the leader tells the others.
const (
	maxFindings     = 256 // objects; of more, the first by id
	maxFindingBytes = 512 // of one message
)

// findings is what the leader's executor met at the first view of objects. It
// stands in the leader's memory alone: another one looks for itself, within
// seconds. Followers have the leader's word while it is fresh.
type findings struct {
	own func() []executor.Finding // empty unless this node leads

	mu     sync.Mutex
	told   []*pointsmanv1.MasterAlert
	toldAt time.Time
}

// alerts is what stands now: this node's own, or else the leader's word.
func (f *findings) alerts(now time.Time) (out []*pointsmanv1.MasterAlert) {
	for i, one := range f.own() {
		if i == maxFindings {
			break
		}
		out = append(out, &pointsmanv1.MasterAlert{Master: string(one.Master), Alert: findingAlert(one, now)})
	}
	if len(out) > 0 {
		return out
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	passed := now.Sub(f.toldAt)
	if passed > heardFor {
		return nil
	}
	for _, one := range f.told {
		one = proto.CloneOf(one)
		one.Alert.Age = durationpb.New(span(one.GetAlert().GetAge()) + passed)
		out = append(out, one)
	}
	return out
}

// hear keeps the leader's word.
func (f *findings) hear(told []*pointsmanv1.MasterAlert) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told, f.toldAt = nil, time.Now()
	for _, one := range told[:min(len(told), maxFindings)] {
		if one.GetAlert() != nil {
			f.told = append(f.told, one)
		}
	}
}

func findingAlert(f executor.Finding, now time.Time) *pointsmanv1.Alert {
	a := &pointsmanv1.Alert{
		Code: AlertNotOurs, Severity: pointsmanv1.AlertSeverity_ALERT_SEVERITY_WARNING, Subject: string(f.Object), Age: age(f.Since, now),
	}
	what := fmt.Sprintf("step %s of %s would be stuck at it in the next failover", f.Step, f.Master)
	switch f.Is {
	case actuators.Newer:
		a.Severity = pointsmanv1.AlertSeverity_ALERT_SEVERITY_CRITICAL
	case actuators.Foreign:
	case actuators.Absent:
		a.Code, what = AlertMissing, fmt.Sprintf("step %s of %s makes it in the next failover, and no earlier", f.Step, f.Master)
	default:
		a.Code, what = AlertUnreadable, fmt.Sprintf("nobody knows whether step %s of %s can write it", f.Step, f.Master)
	}
	found := f.Found
	if len(found) > maxFindingBytes {
		found = strings.ToValidUTF8(found[:maxFindingBytes], "") + "…"
	}
	a.Message = what + ": " + found
	return a
}
