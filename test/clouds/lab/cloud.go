package lab

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pointsman/pointsman/test/clouds/ovh"
)

// Cloud is the simulated OVH account: one load balancer with one TCP frontend in
// front of the Redis nodes, one farm for each.
type Cloud struct {
	Sim     *ovh.Sim
	URL     string // of the API, with its version
	Control string // of the simulator's own endpoint
	Address string // where the load balancer takes traffic

	zone     string
	frontend int64
	farms    map[string]int64 // by Redis address
	target   string           // its name in the spec
	step     string           // name of the step that swings it
}

// cloudZone is the provider's zone of the load balancer: any will do.
const cloudZone = "gra"

func startCloud(s sampled, redis []string) (*Cloud, error) {
	sim, err := ovh.New(ovh.Config{DataPlane: true})
	if err != nil {
		return nil, err
	}
	c := &Cloud{Sim: sim, zone: cloudZone, frontend: s.step.Frontend, farms: map[string]int64{}, target: s.name, step: s.lb}
	if err := c.seed(s, redis); err != nil {
		return nil, fmt.Errorf("seed the simulated provider: %w", errors.Join(err, sim.Close()))
	}
	return c, nil
}

func (c *Cloud) seed(s sampled, redis []string) (err error) {
	if err := c.Sim.AddService(s.target.Service, c.zone); err != nil {
		return err
	}
	for i, address := range redis {
		farm := s.step.Farms[s.master.Candidates[i].Address]
		if err := c.addFarm(s.target.Service, farm, address); err != nil {
			return err
		}
	}
	first := c.farms[redis[0]]
	_, err = c.Sim.AddFrontend(s.target.Service, ovh.Frontend{
		FrontendID: c.frontend, Port: "6379", DefaultFarmID: &first, DisplayName: new("redis cache"),
	})
	if err != nil {
		return err
	}
	if c.URL, err = c.Sim.Start("127.0.0.1:0"); err != nil {
		return err
	}
	if c.Control, err = c.Sim.StartControl("127.0.0.1:0"); err != nil {
		return err
	}
	c.Address, err = c.Sim.DataAddr(c.frontend, c.zone)
	return err
}

func (c *Cloud) addFarm(service string, farm int64, address string) error {
	host, portText, _ := strings.Cut(address, ":")
	port, err := strconv.ParseInt(portText, 10, 64)
	if err != nil {
		return fmt.Errorf("address %s: %w", address, err)
	}
	if _, err := c.Sim.AddFarm(service, ovh.Farm{FarmID: farm, Port: &port, DisplayName: &address}); err != nil {
		return err
	}
	c.farms[address] = farm
	_, err = c.Sim.AddServer(farm, ovh.Server{Address: host, Port: &port})
	return err
}

// credentials makes a key known to the provider and writes it in OVH's format.
func (c *Cloud) credentials(dir string) (string, error) {
	key := ovh.Credential{ApplicationKey: rand.Text()[:16], ApplicationSecret: rand.Text(), ConsumerKey: rand.Text()}
	c.Sim.AddCredential(key)
	path := filepath.Join(dir, "ovh.conf")
	text := fmt.Sprintf("; key of the lab's simulated OVH account\n[default]\nendpoint=%[1]s\n\n[%[1]s]\napplication_key=%s\napplication_secret=%s\nconsumer_key=%s\n",
		c.URL, key.ApplicationKey, key.ApplicationSecret, key.ConsumerKey)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// Mark is the sequence of the newest call: a mark in the journal.
func (c *Cloud) Mark() int64 {
	calls := c.Sim.Journal(0).Calls
	if len(calls) == 0 {
		return 0
	}
	return calls[len(calls)-1].Seq
}

// holdRefresh lets the next refresh happen and holds its answer.
func (c *Cloud) holdRefresh() (rule int64, err error) {
	return c.Sim.AddFault(ovh.Fault{Method: http.MethodPost, Path: "*/refresh", When: ovh.After, Do: ovh.DoHold, Count: 1})
}

// waitHeld returns the refresh whose answer is held.
func (c *Cloud) waitHeld(ctx context.Context, after int64) (ovh.Call, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, waitHeld, fmt.Errorf("not within %s", waitHeld))
	defer cancel()
	call, err := c.Sim.WaitFor(ctx, func(c ovh.Call) bool {
		return c.Seq > after && c.Refresh != nil && !c.Foreign && c.Phase == ovh.PhaseHeld
	})
	if err != nil {
		return call, fmt.Errorf("wait for a refresh to be held: %w", err)
	}
	return call, nil
}

// firstWrite is the first request after a mark that could change an object.
func (c *Cloud) firstWrite(ctx context.Context, after int64) (time.Time, error) {
	call, err := c.Sim.WaitFor(ctx, func(c ovh.Call) bool { return c.Seq > after && c.Write() && !c.Foreign })
	return call.Received, err
}

// Applied is the Redis address that traffic goes to now.
func (c *Cloud) Applied() string {
	f, err := c.Sim.Applied(c.frontend, c.zone)
	if err != nil {
		return ""
	}
	return c.pointsAt(f)
}

// Staged is the Redis address that the next refresh would send traffic to.
func (c *Cloud) Staged() string {
	for _, service := range c.Sim.State().Services {
		for _, f := range service.Staged.Frontends {
			if f.FrontendID == c.frontend {
				return c.pointsAt(f)
			}
		}
	}
	return ""
}

// pointsAt is the Redis address of the frontend's farm; empty when it has none.
func (c *Cloud) pointsAt(f ovh.Frontend) string {
	for address, farm := range c.farms {
		if f.DefaultFarmID != nil && farm == *f.DefaultFarmID {
			return address
		}
	}
	return ""
}

// waitApplied returns the moment at which traffic goes to address, 2 ms exact.
func (c *Cloud) waitApplied(ctx context.Context, address string) (time.Time, error) {
	t := time.NewTicker(2 * time.Millisecond)
	defer t.Stop()
	for {
		if at := c.Applied(); at == address {
			return time.Now(), nil
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("wait for the load balancer to send to %s, now %s: %w", address, c.Applied(), context.Cause(ctx))
		}
	}
}

// Farm is the farm in front of a Redis address; 0: none.
func (c *Cloud) Farm(address string) int64 { return c.farms[address] }
