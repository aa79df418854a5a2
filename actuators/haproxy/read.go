package haproxy

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pointsman/pointsman/actuators"
)

// view is a server as a read found it.
type view struct {
	backend, server string
	at              netip.AddrPort // zero: none
	up, maintenance bool
	beside          []string // other servers of the backend that may take traffic
	pid             string
	marker          actuators.Marker
	marked          bool
	unwritable      bool // this HAProxy has no variables, and so no markers
	moving          bool // the marker changed within the read
}

// variable is the process variable that holds a server's marker. HAProxy takes
// letters, digits, dots and underscores; what else a name has is spelled out.
func variable(backend, server string) string {
	spelled := regexp.MustCompile(`[^A-Za-z0-9.]`).ReplaceAllStringFunc(backend+"/"+server, func(c string) string {
		if c == "/" {
			return "__"
		}
		return fmt.Sprintf("_%02x", c[0])
	})
	return "proc.pm_" + spelled
}

// Read implements actuators.Actuator.
func (a *actuator) Read(ctx context.Context, s actuators.Subject) (actuators.Reading, error) {
	r := actuators.Reading{At: time.Now()}
	msg, err := paramsOf(s.Step)
	if err != nil {
		return r, actuators.Permanent(err)
	}
	name := variable(msg.GetBackend(), msg.GetServer())
	text, err := a.ask(ctx, fmt.Sprintf("get var %s; show servers state %s; get var %s; show info", name, msg.GetBackend(), name), false)
	if err == nil {
		v := &view{backend: msg.GetBackend(), server: msg.GetServer(), pid: pidOf(text)}
		r.Requests = idsOf(v.pid)
		if err = v.parse(text, name); err == nil {
			r.Body = v
		}
	}
	if err != nil {
		e := actuators.Explain(fmt.Errorf("read %s: %w", s.Step.Object, err))
		e.Requests = r.Requests
		return r, &e
	}
	return r, nil
}

// parse reads the servers' rows, by the names that stand above the columns, and
// the marker before and after them.
func (v *view) parse(text, name string) error {
	if err := refusal(text); err != nil {
		return err
	}
	if v.pid == "" { // what is no whole answer proves nothing
		return strange(text)
	}
	var columns []string
	var markers []string
	found, inTable := false, false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		head, isHead := strings.CutPrefix(line, "# be_id ")
		value, isMarker := strings.CutPrefix(line, name+": type=str value=<")
		switch {
		case isHead:
			columns, inTable = append([]string{"be_id"}, strings.Fields(head)...), true
		case isMarker:
			markers = append(markers, strings.TrimSuffix(value, ">"))
		case strings.HasPrefix(line, name+": "), line == "Variable not found.":
			markers = append(markers, "")
		case line == "":
			inTable = false
		case inTable:
			mine, err := v.take(columns, strings.Fields(line))
			if err != nil {
				return err
			}
			found = found || mine
		}
	}
	switch {
	case len(columns) == 0:
		return strange(text)
	case !found:
		return actuators.Permanent(fmt.Errorf("%w: backend %s has no server %s", ErrRefused, v.backend, v.server))
	}
	return v.mark(markers)
}

// mark takes the marker, which was asked for twice.
func (v *view) mark(found []string) error {
	switch len(found) {
	case 0:
		v.unwritable = true
		return nil
	case 2:
		v.moving = found[0] != found[1]
		_, v.marker, v.marked = actuators.ParseMarked(found[1])
		return nil
	}
	return fmt.Errorf("%w: asked twice for the marker, told %d times", ErrAnswer, len(found))
}

// Bits of srv_admin_state (HAProxy's management guide, "show servers state").
// Maintenance: forced, inherited, by the resolver. 0x04 only tells that the
// configuration says "disabled", and stays when a server is made ready.
const (
	maintenanceBits = 0x01 | 0x02 | 0x20
	drainBits       = 0x08 | 0x10
)

// take reads one row; mine is that of the step's server.
func (v *view) take(columns, fields []string) (mine bool, err error) {
	row := func(column string) string {
		if i := slices.Index(columns, column); i >= 0 && i < len(fields) {
			return fields[i]
		}
		return ""
	}
	if row("be_name") != v.backend {
		return false, nil
	}
	op, err1 := strconv.Atoi(row("srv_op_state"))
	admin, err2 := strconv.Atoi(row("srv_admin_state"))
	if err1 != nil || err2 != nil || len(fields) != len(columns) || row("srv_name") == "" || row("srv_addr") == "" || row("srv_port") == "" {
		return false, strange(strings.Join(fields, " "))
	}
	if row("srv_name") != v.server {
		if admin&(maintenanceBits|drainBits) == 0 && row("srv_uweight") != "0" {
			v.beside = append(v.beside, quote(row("srv_name")))
		}
		return false, nil
	}
	v.up, v.maintenance = op != 0, admin&maintenanceBits != 0
	host, err1 := netip.ParseAddr(row("srv_addr"))
	port, err2 := strconv.ParseUint(row("srv_port"), 10, 16)
	if err1 == nil && err2 == nil { // else it has none: "-", or a name that has not been resolved
		v.at = netip.AddrPortFrom(host.Unmap(), uint16(port))
	}
	return true, nil
}

func (v *view) String() string {
	text := fmt.Sprintf("server %s/%s → %s", v.backend, v.server, v.at)
	if !v.at.IsValid() {
		text = fmt.Sprintf("server %s/%s has no address", v.backend, v.server)
	}
	switch {
	case v.marked:
		text += " " + v.marker.String()
	case v.unwritable:
		text += " (this HAProxy has no variables for a marker: judged by its address alone)"
	}
	if why := v.care(); why != "" {
		text += ", " + why
	}
	return text + ", haproxy pid " + v.pid
}

// care says why nobody gets through, though the address may be right.
func (v *view) care() string {
	switch {
	case v.maintenance:
		return "in maintenance"
	case !v.up:
		return "down by its checks"
	}
	return ""
}

// split says which servers writes would go to besides; empty: none.
func (v *view) split() string {
	if len(v.beside) == 0 {
		return ""
	}
	names := strings.Join(v.beside[:min(len(v.beside), MaxListed)], ", ")
	if n := len(v.beside) - MaxListed; n > 0 {
		names += fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf("backend %s has more than server %s that may take traffic, which would split writes: %s; take them out or disable them",
		v.backend, v.server, names)
}
