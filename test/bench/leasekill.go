package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// begunText is what the command of a worker writes first.
const begunText = "begun"

// murder: the process of the holder, `pointsman leases run`, is killed, and a rival
// waits.
func (b *bench) murder(ctx context.Context, c *cluster, program string) (float64, error) {
	cmd := exec.CommandContext(ctx, program, "leases", "run", handPool, "--endpoints", strings.Join(c.any, ","), "--", "sh", "-c", "echo "+begunText+"; exec sleep 600")
	said := &bytes.Buffer{}
	cmd.Stderr = said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() { _ = cmd.Wait() }() // killed, it says
	defer func() { _ = cmd.Process.Kill() }()
	if text, err := bufio.NewReader(out).ReadString('\n'); strings.TrimSpace(text) != begunText {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return 0, fmt.Errorf("a worker's command says %q: %w\n%s", text, err, said)
	}
	at, stop, err := b.rival(ctx, c, "rival")
	if err != nil {
		return 0, err
	}
	from := time.Now()
	if err = b.known(ctx, c, 2); err == nil {
		from, err = time.Now(), cmd.Process.Kill()
	}
	var began time.Time
	if err == nil {
		began, err = within(ctx, at, "the hand-over")
	}
	if e := stop(); err == nil {
		err = e
	}
	return millis(began.Sub(from)), err
}
