package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// killLeader ends the leading coordinator.
func (g *stage) killLeader(ctx context.Context) error {
	n, err := g.Nodes.Leader(ctx)
	if err != nil {
		return err
	}
	return n.Kill()
}

// pid is that of a Sentinel of the lab.
func (g *stage) pid(sentinel string) (int, error) {
	for _, s := range g.Redis.Sentinels() {
		if s.Address == sentinel && s.PID != 0 {
			return s.PID, nil
		}
	}
	return 0, fmt.Errorf("sentinel %s does not run", sentinel)
}

// killScript ends the scripts that a Sentinel has started.
func (g *stage) killScript(sentinel string) error {
	pid, err := g.pid(sentinel)
	if err != nil {
		return err
	}
	children, err := childrenOf(pid)
	if err != nil {
		return err
	}
	if len(children) == 0 {
		return fmt.Errorf("sentinel %s runs no script", sentinel)
	}
	for _, child := range children {
		if err := syscall.Kill(child, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("kill script %d: %w", child, err)
		}
	}
	return nil
}

// killHost ends a Sentinel and the scripts that it has started: the lab gives
// each Sentinel a process group of its own, and they are in it.
func (g *stage) killHost(sentinel string) error {
	pid, err := g.pid(sentinel)
	if err != nil {
		return err
	}
	if group, err := syscall.Getpgid(pid); err != nil || group != pid {
		return fmt.Errorf("sentinel %d is in process group %d, not in one of its own: %w", pid, group, err)
	}
	return syscall.Kill(-pid, syscall.SIGKILL)
}

// childrenOf lists the processes that a process has started.
func childrenOf(parent int) (list []int, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it has ended
		}
		// The second field is the program's name in brackets, and may hold anything.
		f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(f) > 1 && f[1] == strconv.Itoa(parent) {
			list = append(list, pid)
		}
	}
	return list, nil
}
