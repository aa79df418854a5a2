package sentinel

import (
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Master is one Redis master to watch.
type Master struct {
	ID         string   // ours
	Name       string   // the Sentinels' name for it
	Sentinels  []string // every declared Sentinel, host:port; majority is of these
	Candidates []string // every node that may become master, host:port
	Sentinel   Access
	Order      *Access // to ask a Sentinel for a switchover; nil: as Sentinel
	Redis      Access
}

// Access is how to log in. The zero value is a plain connection without password.
type Access struct {
	// ID names the credential, for example "credential:sentinel"; never the
	// secret. Masters whose Sentinels have equal address, ID and User share one
	// pipeline, so an ID must not stand for two different passwords.
	ID       string
	User     string                 // empty: the default user
	Password func() (string, error) // asked at each dial; nil: none
	TLS      *tls.Config            // nil: plain; ServerName defaults to the host
}

// Report is what one declared Sentinel says about one master.
type Report struct {
	Sentinel string // its address
	RunID    string // its own id (SENTINEL MYID); empty if it refuses to tell
	Address  string // by its getter, in the spelling of the candidate if it is one
	Epoch    uint64 // config-epoch, read together with Address
	Seen     bool   // it answered; false: unreachable, and what follows is its last word
	Err      string // why it is not Seen
	At       time.Time
	Flags    string // of the master as this Sentinel sees it, for example "master,s_down"
	Failover bool   // it is leading a failover now
	Tilt     bool   // it has stopped judging for up to 30 s

	Subscribed bool          // its events reach the reporting node now
	DownAfter  time.Duration // after which it takes the master for down; 0: not told

	OtherSentinels int    // that it knows
	Replicas       int    // that it knows
	Via            string // the peer that told us, empty for our own sight
}

// Answers of a Redis node to ROLE.
const (
	RoleMaster      = "master"
	RoleSlave       = "slave"
	RoleSentinel    = "sentinel"
	RoleUnreachable = "unreachable" // no answer, NOAUTH, LOADING and other errors
)

// Role is what one candidate answers to ROLE. The zero Role means not asked yet.
type Role struct {
	Address string
	Role    string
	Err     string
	At      time.Time
	Via     string // the peer that told us, empty for our own sight

	Offset int64  // replication offset, of a master or a replica
	Master string // whom a replica follows, host:port, as it spells it
	Link   string // of a replica: connected, sync, connecting, connect, handshake
}

// Note is an event worth an alert, kept for NoteFor.
type Note struct {
	Sentinel string
	Channel  string // for example -failover-abort-no-good-slave
	At       time.Time
}

// View is what is seen of one master at one moment. It is a value of its own:
// the reader may keep it.
type View struct {
	Master    string
	Reports   []Report // one per declared Sentinel, in order
	Roles     []Role   // one per candidate, in order
	Notes     []Note   // oldest first
	Switching bool     // votes, a selected replica or a failover were seen: warm up
	// Began is when a failover was last seen to begin, before any promotion: votes,
	// a chosen replica. Zero: none was.
	Began time.Time
	At    time.Time
}

// Arrived moves all times of a peer's view so that it seems taken now: ages
// stay, and no two machines' clocks are compared. The way through the network
// is not counted.
func (v View) Arrived(now time.Time) View {
	d := now.Sub(v.At)
	v.Reports = append([]Report(nil), v.Reports...)
	v.Roles = append([]Role(nil), v.Roles...)
	v.Notes = append([]Note(nil), v.Notes...)
	for i := range v.Reports {
		v.Reports[i].At = v.Reports[i].At.Add(d)
	}
	for i := range v.Roles {
		v.Roles[i].At = v.Roles[i].At.Add(d)
	}
	for i := range v.Notes {
		v.Notes[i].At = v.Notes[i].At.Add(d)
	}
	if !v.Began.IsZero() {
		v.Began = v.Began.Add(d)
	}
	v.At = now
	return v
}

// Validate says what is wrong with a declaration.
func (m Master) Validate() error {
	if m.ID == "" || m.Name == "" || strings.ContainsAny(m.Name, " \t\r\n") {
		return fmt.Errorf("master %q: needs an id and a sentinel name without spaces, has %q", m.ID, m.Name)
	}
	if len(m.Sentinels) == 0 || len(m.Candidates) == 0 {
		return fmt.Errorf("master %q: needs sentinels and candidates", m.ID)
	}
	for _, list := range [][]string{m.Sentinels, m.Candidates} {
		seen := map[string]string{}
		for _, a := range list {
			if err := checkAddress(a); err != nil {
				return fmt.Errorf("master %q: %w", m.ID, err)
			}
			if other, twice := seen[canonical(a)]; twice {
				return fmt.Errorf("master %q: %s and %s are the same", m.ID, other, a)
			}
			seen[canonical(a)] = a
		}
	}
	return nil
}

func checkAddress(a string) error {
	host, port, err := net.SplitHostPort(a)
	if err != nil || host == "" {
		return fmt.Errorf("address %q is not host:port", a)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("address %q has no port between 1 and 65535", a)
	}
	return nil
}
