package actuators

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/pointsman/pointsman/fsm"
)

// Marker says who wrote an object last. It stands behind the user's own text in
// a free field of the object: "Redis cache [pm 1f2e3d4c cache/7]".
type Marker struct {
	Cluster string // first eight characters of its id
	Master  fsm.MasterID
	Number  fsm.Number
}

func (m Marker) String() string { return fmt.Sprintf("[pm %s %s/%d]", m.Cluster, m.Master, m.Number) }

// MarkerOf is what an action for a failover leaves.
func MarkerOf(c fsm.ClusterID, f fsm.FailoverID) Marker {
	short := string(c)
	if len(short) > 8 {
		short = strings.ToValidUTF8(short[:8], "")
	}
	return Marker{Cluster: short, Master: f.Master, Number: f.Number}
}

// ParseMarked splits a text into the user's own and the marker behind it. Of
// several markers the last one counts, and all are taken off.
func ParseMarked(text string) (own string, m Marker, marked bool) {
	own = strings.TrimSpace(text)
	for {
		rest, found, ok := lastMarker(own)
		if !ok {
			return own, m, marked
		}
		if !marked {
			m, marked = found, true
		}
		own = rest
	}
}

func lastMarker(text string) (string, Marker, bool) {
	form := regexp.MustCompile(`(?s)^(.*?)\s*\[pm (\S{1,8}) ([^\s/\]]+)/([0-9]{1,19})\]$`)
	p := form.FindStringSubmatch(text)
	if p == nil {
		return text, Marker{}, false
	}
	n, err := strconv.ParseUint(p[4], 10, 64)
	if err != nil {
		return text, Marker{}, false
	}
	return p[1], Marker{Cluster: p[2], Master: fsm.MasterID(p[3]), Number: fsm.Number(n)}, true
}

// Mark puts the marker behind the user's own text, which is cut where the whole
// would grow past most, in bytes. The marker never is.
func (m Marker) Mark(text string, most int) string {
	own, _, _ := ParseMarked(text)
	suffix := m.String()
	if room := max(0, most-len(suffix)-1); len(own) > room {
		own = strings.TrimSpace(strings.ToValidUTF8(own[:room], ""))
	}
	if own == "" {
		return suffix
	}
	return own + " " + suffix
}
