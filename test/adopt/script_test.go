package adopt

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // OVH signs with it
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"
)

// asScript is set when the process is to be the old script, to what it needs.
const asScript = "ADOPT_OLD_SCRIPT"

func TestMain(m *testing.M) {
	if settings := os.Getenv(asScript); settings != "" {
		os.Exit(runScript(settings, os.Args[1:]))
	}
	os.Exit(m.Run())
}

// oldScript is what a client-reconfig-script of the common sort knows.
type oldScript struct {
	Endpoint, Service     string
	Frontend              int64
	Farms                 map[string]int64 // by Redis address
	Key, Secret, Consumer string
}

// scriptWithin bounds one request; Sentinel kills a script after 60 s.
const scriptWithin = 20 * time.Second

// runScript points the frontend at the new master, which Sentinel names in the
// sixth and seventh argument, and asks OVH to apply it. Exit code 1 asks Sentinel
// to try again.
func runScript(settings string, args []string) int {
	var s oldScript
	if err := json.Unmarshal([]byte(settings), &s); err != nil || len(args) < 7 {
		return 2
	}
	service := "/ipLoadbalancing/" + s.Service
	farm := s.Farms[args[5]+":"+args[6]]
	for _, c := range []struct {
		method, path string
		body         any
	}{
		{http.MethodPut, fmt.Sprintf("%s/tcp/frontend/%d", service, s.Frontend), map[string]int64{"defaultFarmId": farm}},
		{http.MethodPost, service + "/refresh", struct{}{}},
	} {
		if err := s.call(c.method, s.Endpoint+c.path, c.body); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return 0
}

func (s oldScript) call(method, url string, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	now := fmt.Sprint(time.Now().Unix())
	signed := fmt.Sprintf("%s+%s+%s+%s+%s+%s", s.Secret, s.Consumer, method, url, data, now)
	req, err := http.NewRequest(method, url, bytes.NewReader(data))
	if err != nil {
		return err
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "X-Ovh-Application": s.Key, "X-Ovh-Consumer": s.Consumer, "X-Ovh-Timestamp": now,
		"X-Ovh-Signature": fmt.Sprintf("$1$%x", sha1.Sum([]byte(signed))), //nolint:gosec // OVH signs with it
	} {
		req.Header.Set(name, value)
	}
	resp, err := (&http.Client{Timeout: scriptWithin}).Do(req)
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, url, resp.Status)
	}
	return nil
}
