package hooks

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Metrics is what /metrics answers at host:port: sums over all labels, by name.
// A name with labels as they stand there is in it too.
func Metrics(ctx context.Context, at string) (map[string]float64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("metrics of %s: %s", at, a.Status)
	}
	out := map[string]float64{}
	for lines := bufio.NewScanner(io.LimitReader(a.Body, 4<<20)); lines.Scan(); {
		at := strings.LastIndexByte(lines.Text(), ' ')
		if at < 0 || lines.Text()[0] == '#' {
			continue
		}
		v, err := strconv.ParseFloat(lines.Text()[at+1:], 64)
		if err != nil {
			return nil, err
		}
		name, _, labels := strings.Cut(lines.Text()[:at], "{")
		out[name] += v
		if labels {
			out[lines.Text()[:at]] = v
		}
	}
	return out, nil
}
