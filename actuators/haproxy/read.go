package haproxy

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
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
	pid             string
	marker          actuators.Marker
	marked          bool
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
	text, err := a.ask(ctx, fmt.Sprintf("show servers state %s; get var %s; show info", msg.GetBackend(), name), false)
	if err == nil {
		v := &view{backend: msg.GetBackend(), server: msg.GetServer(), pid: pidOf(text)}
		if err = v.parse(text, name); err == nil {
			r.Body, r.Requests = v, v.ids()
		}
	}
	if err != nil {
		e := actuators.Explain(fmt.Errorf("read %s: %w", s.Step.Object, err))
		return r, &e
	}
	return r, nil
}

// ids is what stands for the id of an answer, which HAProxy has not.
func (v *view) ids() []string { return idsOf(v.pid) }

func idsOf(pid string) []string {
	if pid == "" {
		return nil
	}
	return []string{"pid " + pid}
}

func pidOf(text string) string {
	if p := regexp.MustCompile(`(?m)^Pid: ([0-9]{1,10})\s*$`).FindStringSubmatch(text); p != nil {
		return p[1]
	}
	return ""
}

// parse reads the server's row, by the names that stand above the columns, and
// the marker.
func (v *view) parse(text, name string) error {
	if refused(text) {
		return actuators.Permanent(fmt.Errorf("%s: %w", quote(firstLine(text)), ErrRefused))
	}
	var columns []string
	var row map[string]string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if head, ok := strings.CutPrefix(line, "# be_id "); ok {
			columns = append([]string{"be_id"}, strings.Fields(head)...)
			continue
		}
		if value, ok := strings.CutPrefix(line, name+": type=str value=<"); ok {
			_, v.marker, v.marked = actuators.ParseMarked(strings.TrimSuffix(value, ">"))
			continue
		}
		fields := strings.Fields(line)
		if len(columns) == 0 || len(fields) != len(columns) || row != nil {
			continue
		}
		found := map[string]string{}
		for i, column := range columns {
			found[column] = fields[i]
		}
		if found["be_name"] == v.backend && found["srv_name"] == v.server {
			row = found
		}
	}
	switch {
	case len(columns) == 0 || pidOf(text) == "": // what is no whole answer proves nothing
		return fmt.Errorf("%w: %s", ErrAnswer, quote(text))
	case row == nil:
		return actuators.Permanent(fmt.Errorf("backend %s has no server %s: %w", v.backend, v.server, ErrRefused))
	}
	return v.take(row)
}

// Bits of srv_admin_state that mean maintenance: forced, inherited, by the configuration, by the resolver.
const maintenanceBits = 0x01 | 0x02 | 0x04 | 0x20

func (v *view) take(row map[string]string) error {
	op, err1 := strconv.Atoi(row["srv_op_state"])
	admin, err2 := strconv.Atoi(row["srv_admin_state"])
	if err1 != nil || err2 != nil || row["srv_addr"] == "" || row["srv_port"] == "" {
		return fmt.Errorf("server %s/%s: states %q, %q, address %q, port %q: %w", v.backend, v.server,
			row["srv_op_state"], row["srv_admin_state"], row["srv_addr"], row["srv_port"], ErrAnswer)
	}
	v.up, v.maintenance = op != 0, admin&maintenanceBits != 0
	host, err1 := netip.ParseAddr(row["srv_addr"])
	port, err2 := strconv.ParseUint(row["srv_port"], 10, 16)
	if err1 == nil && err2 == nil { // else it has none: "-", or a name that has not been resolved
		v.at = netip.AddrPortFrom(host.Unmap(), uint16(port))
	}
	return nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

func (v *view) String() string {
	text := fmt.Sprintf("server %s/%s → %s", v.backend, v.server, v.at)
	if !v.at.IsValid() {
		text = fmt.Sprintf("server %s/%s has no address", v.backend, v.server)
	}
	if v.marked {
		text += " " + v.marker.String()
	}
	switch {
	case v.maintenance:
		text += ", in maintenance"
	case !v.up:
		text += ", down"
	}
	return text + ", haproxy pid " + v.pid
}
