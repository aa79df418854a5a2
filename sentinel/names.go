package sentinel

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
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
