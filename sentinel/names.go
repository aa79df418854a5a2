package sentinel

import (
	"cmp"
	"context"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// canonical is one spelling per address: host names in lower case, IPs in
// netip's form (IPv4 in IPv6 unmapped), ports without leading zeros. What
// cannot be read is left alone.
func canonical(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if n, err := strconv.ParseUint(port, 10, 16); err == nil {
		port = strconv.FormatUint(n, 10)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.Unmap().String()
	} else {
		host = strings.TrimSuffix(strings.ToLower(host), ".")
	}
	return net.JoinHostPort(host, port)
}

// Bounds of name resolution.
const (
	nameFor  = 30 * time.Second // an answer is looked up anew after this
	nameWait = 2 * time.Second
	maxNames = 1024
)

// names knows which host names mean one node. Sentinel may answer with a name
// (announce-hostnames) where an IP is declared, or the other way round. Nothing
// is looked up while the answers match the declaration literally.
type names struct {
	known  map[string]resolved // by host
	wanted map[string]bool
	nudge  chan struct{} // capacity 1: something is wanted
}

type resolved struct {
	ips []string
	at  time.Time
}

// spell, under mu, returns an address in the spelling of the candidate that it
// means, or as it is.
func (w *Watcher) spell(m *master, address string) string {
	if spelled, ok := m.spelling[canonical(address)]; ok || address == "" {
		return cmp.Or(spelled, address)
	}
	host, port, err := net.SplitHostPort(canonical(address))
	if err != nil {
		return address
	}
	ips, found := w.ips(host), ""
	for c, spelled := range m.spelling {
		h, p, err := net.SplitHostPort(c)
		if err != nil || p != port || !slices.ContainsFunc(w.ips(h), func(ip string) bool { return slices.Contains(ips, ip) }) {
			continue
		}
		if found != "" {
			return address // it means two candidates: neither
		}
		found = spelled
	}
	return cmp.Or(found, address)
}

// ips, under mu, are those of a host as far as they are known; it asks for more.
func (w *Watcher) ips(host string) []string {
	if _, err := netip.ParseAddr(host); err == nil {
		return []string{host}
	}
	r := w.names.known[host]
	if time.Since(r.at) > nameFor && len(w.names.wanted) < maxNames {
		w.names.wanted[host] = true
		signal(w.names.nudge)
	}
	return r.ips
}

// resolve looks up what is wanted until ctx ends.
func (w *Watcher) resolve(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.names.nudge:
		}
		w.mu.Lock()
		hosts := slices.Sorted(maps.Keys(w.names.wanted))
		clear(w.names.wanted)
		w.mu.Unlock()
		for _, host := range hosts {
			w.lookup(ctx, host)
		}
	}
}

// lookup keeps the last good answer when the name service fails.
func (w *Watcher) lookup(ctx context.Context, host string) {
	ctx, cancel := context.WithTimeout(ctx, nameWait)
	defer cancel()
	found, err := w.cfg.Lookup(ctx, host)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.names.known) >= maxNames {
		clear(w.names.known)
	}
	r := resolved{ips: w.names.known[host].ips, at: time.Now()}
	if err == nil {
		r.ips = nil
		for _, ip := range found {
			if a, err := netip.ParseAddr(ip); err == nil {
				r.ips = append(r.ips, a.Unmap().String())
			}
		}
	}
	w.names.known[host] = r
}
