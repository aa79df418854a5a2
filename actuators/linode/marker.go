package linode

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// Parts of a marker, in characters.
const (
	masterPart = 11 // longer ids stand by head and digest, which are just as long
	headPart   = 5
)

// marker says who wrote a node last: what actuators.Marker says, in a form that
// fits a label and is the whole of it. The ids of masters have neither '.' nor '_' (proto/pointsman/v1/spec.proto), so it can be
// taken apart, and no short id looks like a digest.
type marker struct {
	cluster string // first eight characters of its id
	master  string // its id, or what stands for a long one
	number  fsm.Number
}

func (m marker) String() string { return fmt.Sprintf("pm.%s.%s.%d", m.cluster, m.master, m.number) }

func markerOf(c fsm.ClusterID, f fsm.FailoverID) marker {
	return marker{cluster: actuators.MarkerOf(c, f).Cluster, master: short(f.Master), number: f.Number}
}

// short is a master's id, or five characters of it and 25 bits of its digest.
// Two masters of one spec never share a node, so a digest that is met twice
// could only hide that a node was given from the one to the other.
func short(m fsm.MasterID) string {
	if len(m) <= masterPart {
		return string(m)
	}
	sum := sha256.Sum256([]byte(m))
	digest := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))
	return string(m[:headPart]) + "_" + digest[:masterPart-headPart-1]
}

// parseLabel reads a marker.
func parseLabel(label string) (marker, bool) {
	form := regexp.MustCompile(`^pm\.([^.]{1,8})\.([^.]{1,11})\.([0-9]{1,20})$`)
	p := form.FindStringSubmatch(strings.TrimSpace(label))
	if p == nil {
		return marker{}, false
	}
	n, err := strconv.ParseUint(p[3], 10, 64)
	if err != nil {
		return marker{}, false
	}
	return marker{cluster: p[1], master: p[2], number: fsm.Number(n)}, true
}

// label is the marker as the API takes it. A number of more than eight digits
// does not fit: ErrLabel.
func (m marker) label() (string, error) {
	text := m.String()
	if len(text) > MaxLabel || !regexp.MustCompile(`^[A-Za-z0-9._-]{3,}$`).MatchString(text) {
		return "", fmt.Errorf("%q: %w", text, ErrLabel)
	}
	return text, nil
}
