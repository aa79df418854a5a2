package redis

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
)

// Ports are handed out between these bounds: above the standard ports of Redis
// (6379, 16379) and Pointsman (78xx), below Linux's ephemeral range (32768).
const (
	lowestPort  = 17000
	highestPort = 32000
	sentinelStd = 26379
)

// Ports is a set of reserved loopback ports.
type Ports struct {
	Numbers []int
	marks   []net.Listener
}

// ReservePorts finds n ports that are free on 127.0.0.1 and never standard
// ones. Processes that use this function keep off each other's ports until
// Release, since each port is marked by an abstract Unix socket of its number;
// a stranger may still take one, so a server that cannot bind tries others.
func ReservePorts(n int) (*Ports, error) {
	p := &Ports{}
	for tries := 0; len(p.Numbers) < n; tries++ {
		if tries > 200*n {
			p.Release()
			return nil, errors.New("no free loopback ports")
		}
		port := lowestPort + rand.IntN(highestPort-lowestPort)
		if port == sentinelStd {
			continue
		}
		mark, err := net.Listen("unix", fmt.Sprintf("@pointsman-lab-port-%d", port))
		if err != nil {
			if errors.Is(err, os.ErrPermission) {
				return nil, fmt.Errorf("mark port %d: %w", port, err)
			}
			continue
		}
		if !free(port) {
			mark.Close()
			continue
		}
		p.Numbers = append(p.Numbers, port)
		p.marks = append(p.marks, mark)
	}
	return p, nil
}

// Release ends the reservation. It may be called again.
func (p *Ports) Release() {
	for _, m := range p.marks {
		m.Close()
	}
	p.marks = nil
}

func free(port int) bool {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	l.Close()
	return true
}
