package main

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/pointsman/pointsman/test/clouds/ovh"
	"github.com/pointsman/pointsman/test/clouds/redis"
)

//go:embed recipe/reconfigure.sh recipe/repoint.py recipe/webhooks.py
var files embed.FS

// errNoPython is returned when the machine cannot run the recipe.
var errNoPython = errors.New("no python3 in PATH: the recipe's side is left out; install it (Debian: apt-get install python3) and run this again")

// allowScripts lets a script be set at run time, which Sentinel refuses by default.
const allowScripts = "sentinel deny-scripts-reconfig no"

// python is the interpreter itself. A version manager's shim in front of it
// would cost the recipe a tenth of a second.
func python(ctx context.Context) (string, error) {
	name, err := exec.LookPath("python3")
	if err != nil {
		return "", errNoPython
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, "-c", "import sys; print(sys.executable)").Output()
	path := strings.TrimSpace(string(out))
	if err != nil || !filepath.IsAbs(path) {
		return "", fmt.Errorf("%s does not run (%w): %w", name, err, errNoPython)
	}
	return path, nil
}

// scripts is the recipe as it is installed beside the Sentinels.
type scripts struct {
	redis *redis.Lab
	path  string // of the script
}

// installRecipe writes the recipe's files into a folder, with a key of its own.
func installRecipe(dir, python, url string, s *side, r *redis.Lab) (*scripts, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	for _, name := range []string{"reconfigure.sh", "repoint.py"} {
		text, err := files.ReadFile("recipe/" + name)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o700); err != nil {
			return nil, err
		}
	}
	key := ovh.Credential{ApplicationKey: rand.Text()[:16], ApplicationSecret: rand.Text(), ConsumerKey: rand.Text()}
	s.sim.AddCredential(key)
	farms, err := json.Marshal(s.farms)
	if err != nil {
		return nil, err
	}
	var env strings.Builder
	for _, kv := range [][2]string{
		{"PYTHON", python}, {"OVH_ENDPOINT", url}, {"OVH_APPLICATION_KEY", key.ApplicationKey},
		{"OVH_APPLICATION_SECRET", key.ApplicationSecret}, {"OVH_CONSUMER_KEY", key.ConsumerKey},
		{"IPLB_SERVICE", s.service}, {"IPLB_FRONTEND", fmt.Sprint(s.frontend)}, {"IPLB_FARMS", string(farms)},
		{"no_proxy", "127.0.0.1"},
	} {
		fmt.Fprintf(&env, "export %s='%s'\n", kv[0], kv[1])
	}
	if err := os.WriteFile(filepath.Join(dir, "recipe.env"), []byte(env.String()), 0o600); err != nil {
		return nil, err
	}
	return &scripts{redis: r, path: filepath.Join(dir, "reconfigure.sh")}, nil
}

// set makes the script every running Sentinel's client-reconfig-script, or none.
func (p *scripts) set(ctx context.Context, on bool) error {
	path := ""
	if on {
		path = p.path
	}
	for _, s := range p.redis.Sentinels() {
		if s.PID == 0 {
			continue
		}
		if _, err := p.redis.Do(ctx, s.Address, "SENTINEL", "SET", p.redis.Name(), "client-reconfig-script", path); err != nil {
			return fmt.Errorf("set the script of sentinel %s: %w", s.Address, err)
		}
	}
	return nil
}

// idle returns nil when no running Sentinel has a script under way or waiting.
func (p *scripts) idle(ctx context.Context) error {
	for _, s := range p.redis.Sentinels() {
		if s.PID == 0 {
			continue
		}
		v, err := p.redis.Do(ctx, s.Address, "SENTINEL", "PENDING-SCRIPTS")
		if err != nil {
			return err
		}
		if list, _ := v.([]any); len(list) > 0 {
			return fmt.Errorf("sentinel %s has %d scripts", s.Address, len(list))
		}
	}
	return nil
}

// log is the end of what the scripts have said, for error messages.
func (p *scripts) log() string {
	text, err := os.ReadFile(filepath.Join(filepath.Dir(p.path), "recipe.log"))
	if err != nil {
		return err.Error()
	}
	const most = 800
	return string(text[max(0, len(text)-most):])
}
