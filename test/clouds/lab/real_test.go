package lab

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/deploy/samples"
	"github.com/pointsman/pointsman/test/clouds/redis"
)

// The sample files of Redis and Sentinel run as they are, the observer may look
// and nothing else, and the simulated load balancer carries a client over a real
// failover when somebody swings it.
func TestSamplesAndTraffic(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	s, err := sampleSpec()
	if err != nil {
		t.Fatal(err)
	}
	r, err := redis.Start(ctx, redis.Options{Dir: t.TempDir() + "/redis", RedisConf: samples.Redis(), SentinelConf: samples.Sentinel()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	observer(t, r)

	cloud, err := startCloud(s, addresses(r.Redis()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cloud.Sim.Close() })
	recorder, err := r.Record(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(recorder.Stop)
	w := startWriter(cloud.Address)
	t.Cleanup(w.stop)
	if err := w.wrote(ctx, time.Now()); err != nil {
		t.Fatal(err)
	}

	old := r.Redis()[0].Address
	if err := r.Kill(old); err != nil {
		t.Fatal(err)
	}
	promotion, err := recorder.WaitPromotion(ctx, old)
	if err != nil {
		t.Fatal(err)
	}
	if at := cloud.Applied(); at != old {
		t.Fatalf("the load balancer sends to %s before anybody swung it", at)
	}
	if err := cloud.Sim.ForeignPut(cloud.frontend, map[string]any{"defaultFarmId": cloud.farms[promotion.Address]}); err != nil {
		t.Fatal(err)
	}
	if _, err := cloud.Sim.ForeignRefresh(s.target.Service, ""); err != nil {
		t.Fatal(err)
	}
	swung, err := cloud.waitApplied(ctx, promotion.Address)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.wrote(ctx, swung); err != nil {
		t.Fatal(err)
	}
	if gap := w.Seen().LongestGapMS; gap < 1500 {
		t.Errorf("longest gap %.0f ms, but the Sentinels wait 2 s", gap)
	}
}

// observer tries what the user of the spec may and may not do.
func observer(t *testing.T, r *redis.Lab) {
	t.Helper()
	node, sentinel := r.Redis()[0].Address, r.Sentinels()[0].Address
	for _, c := range []struct {
		address, command string
		may              bool
	}{
		{node, "ROLE", true},
		{node, "GET pointsman:count", false},
		{node, "PUBLISH __sentinel__:hello x", false},
		{node, "REPLICAOF NO ONE", false},
		{sentinel, "SENTINEL get-master-addr-by-name mymaster", true},
		{sentinel, "SENTINEL master mymaster", true},
		{sentinel, "SUBSCRIBE +promoted-slave", true},
		{sentinel, "SENTINEL failover mymaster", false},
		{sentinel, "SENTINEL reset *", false},
	} {
		answer, err := asObserver(c.address, c.command)
		if err != nil {
			t.Fatal(err)
		}
		if refused := strings.HasPrefix(answer, "-NOPERM"); refused == c.may || c.may && strings.HasPrefix(answer, "-") {
			t.Errorf("observer at %s: %s: %s", c.address, c.command, answer)
		}
	}
}

// asObserver logs in and answers the first line of what the command brings.
func asObserver(address, command string) (string, error) {
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(c, "AUTH observer %s\r\n%s\r\n", samples.ObserverPassword, command); err != nil {
		return "", err
	}
	lines := bufio.NewScanner(c)
	lines.Scan()
	if lines.Text() != "+OK" {
		return "", fmt.Errorf("log in at %s: %s", address, lines.Text())
	}
	lines.Scan()
	return lines.Text(), lines.Err()
}
