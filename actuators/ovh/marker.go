package ovh

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/pointsman/pointsman/fsm"
)

// marker says who wrote a frontend last. It stands at the end of its name.
type marker struct {
	cluster string // first eight characters of its id
	master  fsm.MasterID
	number  fsm.Number
}

func (m marker) String() string { return fmt.Sprintf("[pm %s %s/%d]", m.cluster, m.master, m.number) }

func markerOf(c fsm.ClusterID, f fsm.FailoverID) marker {
	return marker{cluster: cut(string(c), 8), master: f.Master, number: f.Number}
}

// parseName splits a name into the user's own text and the marker behind it.
func parseName(name string) (text string, m marker, marked bool) {
	text = strings.TrimSpace(name)
	for {
		rest, found, ok := lastMarker(text)
		if !ok {
			return text, m, marked
		}
		if !marked {
			m, marked = found, true
		}
		text = rest
	}
}

func lastMarker(name string) (string, marker, bool) {
	form := regexp.MustCompile(`(?s)^(.*?)\s*\[pm (\S{1,8}) ([^\s/\]]+)/([0-9]{1,19})\]$`)
	p := form.FindStringSubmatch(name)
	if p == nil {
		return name, marker{}, false
	}
	n, err := strconv.ParseUint(p[4], 10, 64)
	if err != nil {
		return name, marker{}, false
	}
	return p[1], marker{cluster: p[2], master: fsm.MasterID(p[3]), number: fsm.Number(n)}, true
}

// mark puts the marker behind the user's own text, which is cut if the name
// would grow past MaxName.
func mark(name string, m marker) string {
	text, _, _ := parseName(name)
	suffix := m.String()
	text = strings.TrimSpace(cut(text, max(0, MaxName-len(suffix)-1)))
	if text == "" {
		return suffix
	}
	return text + " " + suffix
}
