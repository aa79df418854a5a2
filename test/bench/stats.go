package main

import (
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// spread is a set of measurements. Its unit is that of what was measured.
type spread struct {
	N      int     `json:"n"`
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func spreadOf(all []float64) spread {
	if len(all) == 0 {
		return spread{}
	}
	all = slices.Sorted(slices.Values(all))
	mid := all[len(all)/2]
	if len(all)%2 == 0 {
		mid = (mid + all[len(all)/2-1]) / 2
	}
	return spread{N: len(all), Median: tenth(mid), Min: tenth(all[0]), Max: tenth(all[len(all)-1])}
}

func millis(d time.Duration) float64 { return tenth(float64(d) / float64(time.Millisecond)) }
func tenth(v float64) float64        { return math.Round(v*10) / 10 }

// ratio is how many times smaller ours is; 0 when that cannot be said.
func ratio(ours, theirs float64) float64 {
	if ours <= 0 {
		return 0
	}
	return tenth(theirs / ours)
}

// machine is where figures are from. It names no host.
type machine struct {
	CPU    string  `json:"cpu"`
	Cores  int     `json:"cores"`
	Kernel string  `json:"kernel"`
	Go     string  `json:"go"`
	Load   float64 `json:"load"` // one minute's, at the start
}

func thisMachine() machine {
	m := machine{CPU: "unknown CPU", Cores: runtime.NumCPU(), Kernel: "unknown kernel", Go: runtime.Version()}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(text))
	}
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) == nil {
		m.Load = tenth(float64(info.Loads[0]) / (1 << 16))
	}
	return m
}

// fineSpreadOf is spreadOf for spans far below a millisecond.
func fineSpreadOf(all []float64) spread {
	if len(all) == 0 {
		return spread{}
	}
	all = slices.Sorted(slices.Values(all))
	return spread{N: len(all), Median: hundredth(all[len(all)/2]), Min: hundredth(all[0]), Max: hundredth(all[len(all)-1])}
}

// percentile is the value below which that part of all lies.
func percentile(all []float64, part float64) float64 {
	if len(all) == 0 {
		return 0
	}
	all = slices.Sorted(slices.Values(all))
	return hundredth(all[min(int(float64(len(all))*part), len(all)-1)])
}

func hundredth(v float64) float64 { return math.Round(v*100) / 100 }
