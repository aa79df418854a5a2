package httpcall

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/pointsman/pointsman/actuators/wire"
)

// guard judges the addresses that are connected to.
type guard struct{ allowed []netip.Prefix }

// special are networks that are no part of the open Internet and that netip has
// no word for: RFC 6890 and its successors.
func special() []netip.Prefix {
	var all []netip.Prefix
	for _, p := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "fec0::/10",
	} {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

// check returns ErrAddress for an address that is not to be connected to.
func (g guard) check(a netip.Addr) error {
	a = a.Unmap().WithZone("")
	for _, p := range g.allowed {
		if p.Contains(a) {
			return nil
		}
	}
	inner := !a.IsGlobalUnicast() || a.IsPrivate() // loopback, link-local, multicast and none are no global unicast
	for _, p := range special() {
		inner = inner || p.Contains(a)
	}
	if inner {
		return fmt.Errorf("%s is no public address, and no network of the target's allow holds it: %w", a, ErrAddress)
	}
	return nil
}

// dialer connects to allowed addresses only. The judgement is made on what is
// about to be connected to, so that a name which resolves anew changes nothing.
func (g guard) dialer() wire.Dialer {
	d := net.Dialer{Timeout: wire.DialTimeout, KeepAlive: 15 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("%q: %w", address, ErrAddress)
		}
		return g.check(at.Addr())
	}}
	return d.DialContext
}

// follows lets the same request be made at another place, as 307 and 308 ask
// for. What is asked for there by another method is another request, and a plain
// connection after a proven one is none that was meant.
func follows(next *http.Request, via []*http.Request) bool {
	status, from := next.Response.StatusCode, via[len(via)-1].URL.Scheme
	same := status == http.StatusTemporaryRedirect || status == http.StatusPermanentRedirect
	return same && (next.URL.Scheme == "https" || from == "http") && len(via) <= MaxRedirects
}
