package coordinator

import (
	"errors"
	"fmt"
	"strings"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/sentinel"
)

// What a look through a data path met.
const (
	pathUnknown     = pointsmanv1.ProbeState_PROBE_STATE_UNSPECIFIED
	pathOK          = pointsmanv1.ProbeState_PROBE_STATE_OK
	pathOther       = pointsmanv1.ProbeState_PROBE_STATE_OTHER
	pathNotMaster   = pointsmanv1.ProbeState_PROBE_STATE_NOT_MASTER
	pathUnreachable = pointsmanv1.ProbeState_PROBE_STATE_UNREACHABLE
)

var errNoMaster = errors.New("no address was accepted yet")

// answer is what one address said.
type answer struct {
	sentinel.Answer
	err error
}

// met is what a look found. Pure values, for people and for confirm.
type met struct {
	state                  pointsmanv1.ProbeState
	runID, reached, detail string
}

// judgePath says what an answer through a path means. runs are the run ids by
// candidate as they answered last: a run id is drawn at each start of a Redis
// process, so an answer that bears the master's is of that very process, also
// when the master does not answer directly now.
func judgePath(master string, runs map[string]string, own error, a answer) met {
	m := met{runID: a.RunID, reached: holder(runs, a.RunID)}
	switch {
	case a.Role == sentinel.RoleSlave || a.Role == sentinel.RoleSentinel:
		m.state, m.detail = pathNotMaster, "answers ROLE as "+a.Role
	case a.Role == sentinel.RoleMaster && a.RunID == "":
		m.detail = "answers ROLE as master and does not tell its run id"
		if a.err != nil {
			m.detail += ": " + clip(a.err)
		}
	case a.err != nil:
		m.state, m.detail = pathUnreachable, clip(a.err)
	case master == "":
		m.detail = errNoMaster.Error()
	case runs[master] == a.RunID:
		m.state = pathOK
	case m.reached == "" && own != nil:
		m.detail = fmt.Sprintf("the run id of %s is not known: %s", master, clip(own))
	default:
		m.state, m.detail = pathOther, "answers ROLE as master with another run id than "+master
	}
	return m
}

// holder is the candidate of a run id; empty: none is known by it.
func holder(runs map[string]string, run string) string {
	for address, have := range runs {
		if run != "" && have == run {
			return address
		}
	}
	return ""
}

// clip bounds the text of an error.
func clip(err error) string {
	s := strings.ToValidUTF8(err.Error(), "?")
	if len(s) > maxProbeError {
		s = strings.ToValidUTF8(s[:maxProbeError], "")
	}
	return s
}

func pathWord(s pointsmanv1.ProbeState) string {
	if s == pathUnknown {
		return "unknown"
	}
	return strings.ToLower(strings.TrimPrefix(s.String(), "PROBE_STATE_"))
}
