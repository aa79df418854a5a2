package lab

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// clockTick is the kernel's unit of CPU time in /proc, the same on all Linux
// machines that Go runs on (proc(5), sysconf(_SC_CLK_TCK)).
const clockTick = 10 * time.Millisecond

// Usage is what a process has taken so far.
type Usage struct {
	CPU time.Duration // user and system
	RSS int64         // bytes resident now
}

// UsageOf reads /proc. The error means that there is no such process.
func UsageOf(pid int) (Usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Usage{}, err
	}
	// The second field is the program's name in brackets, and may hold anything.
	f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	const user, system, resident = 11, 12, 21 // fields 14, 15 and 24 of proc(5)
	var n [3]int64
	for i, k := range []int{user, system, resident} {
		if n[i], err = strconv.ParseInt(f[k], 10, 64); err != nil {
			return Usage{}, fmt.Errorf("stat of process %d: %w", pid, err)
		}
	}
	return Usage{CPU: time.Duration(n[0]+n[1]) * clockTick, RSS: n[2] * int64(os.Getpagesize())}, nil
}
