package actuatortest

import (
	"net"
	"net/http"
	"os"
	"syscall"
	"time"
)

// Day is what goes wrong on a bad day. Each holds from before the failover until
// somebody mends it.
type Day string

// The bad days. The first five are of the network and the same for every kind.
const (
	UnknownAuthority Day = "certificate of an authority that this node does not know"
	WrongName        Day = "certificate for another name"
	CertificateEnded Day = "certificate that has expired"
	NoSuchHost       Day = "name that does not resolve"
	ConnRefused      Day = "connection refused"

	WrongType     Day = "read: a field of the wrong type"
	PageToLook    Day = "read: a page of HTML, with 200"
	ErrorInLook   Day = "read: 200 with an error inside"
	HugeLook      Day = "read: a body of 100 MB"
	RedirectLook  Day = "read: a redirect"
	Missing       Day = "read: the object does not exist"
	UnknownWord   Day = "read: a word that is not known here"
	NoRightToLook Day = "read: permission missing for this call alone"

	Revoked Day = "credential revoked"
	Expired Day = "credential expired"
	Skewed  Day = "clock an hour off"

	NoRightToWrite Day = "write: permission missing for this call alone"
	PageToWrite    Day = "write: a page of HTML with 200, nothing carried out"
	PageAfterWrite Day = "write: carried out, then a page of HTML with 200"
	ErrorInWrite   Day = "write: 200 with an error inside, nothing carried out"
	HugeWrite      Day = "write: carried out, then a body of 100 MB"
	RedirectWrite  Day = "write: a redirect"
	OddWrite       Day = "write: carried out, then fields of the wrong type"
)

// Want is how an action stands on a bad day.
type Want struct {
	End   End    // empty: as for other kinds, with Doubt
	Doubt bool   // some write got no clear answer; said of no other end than done
	Says  string // what its reason holds; empty: as for other kinds
	Do    string // what a human does; empty: as for other kinds
}

// day is a row of the table.
type day struct {
	Day
	spoil spoil
	own   bool // each kind says itself what is answered
	Want
}

const (
	huge      = 100 << 20
	elsewhere = "http://elsewhere.example/"
)

func moved(status int) *Says {
	return &Says{Status: status, Header: map[string]string{"Location": elsewhere, "Content-Type": "text/plain"}, Body: "moved"}
}

func hugeBody() *Says {
	return &Says{Status: http.StatusOK, Header: map[string]string{"Content-Type": "application/json"}, Size: huge}
}

// Words that several rows share.
const (
	itself    = "Nothing, if it was a passing fault: it goes on by itself. "
	proxy     = itself + "Else find what answers in the provider's place: a proxy, a portal, a wrong endpoint."
	notJSON   = "answer not understood"
	retry     = "then `pointsman actions retry`."
	redirects = itself + "Else name the address that the API has now as the target's endpoint; redirects are not followed."
)

// network are the days that no answer is given on.
func network() []day {
	return []day{
		{Day: UnknownAuthority, spoil: spoil{cert: signedByItself("", 24*time.Hour)}, Want: Want{
			Open, false, "certificate signed by unknown authority",
			"Find who answers there. A proxy that opens TLS, or an authority of your own, must stand among this node's certificates.",
		}},
		{Day: WrongName, spoil: spoil{cert: signedByItself("other.example", 24*time.Hour)}, Want: Want{
			Open, false, "certificate is valid for", "Put the name that the certificate has into the target, or find who answers there.",
		}},
		{Day: CertificateEnded, spoil: spoil{cert: signedByItself("", -time.Hour)}, Want: Want{
			Open, false, "certificate has expired or is not yet valid",
			"Have the certificate renewed. The reason names this node's time: if that is wrong, mend the clock.",
		}},
		{Day: NoSuchHost, spoil: spoil{dial: func(address string) error {
			host, _, _ := net.SplitHostPort(address)
			return &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: host, Server: "192.0.2.53:53", IsNotFound: true}}
		}}, Want: Want{Open, false, "no such host", "Look the name up on this node (`getent hosts NAME`); mend its resolver, or the name in the target."}},
		{Day: ConnRefused, spoil: spoil{dial: func(string) error {
			return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
		}}, Want: Want{Open, false, "connection refused", "Connect from this node (`nc -vz HOST PORT`); mend firewall, route or service."}},
	}
}

// answers are the days that a wrong answer is given on.
func answers() []day {
	return []day{
		{Day: WrongType, spoil: spoil{of: Look}, own: true, Want: Want{Open, false, notJSON, itself + "Else the API has changed: report the reason, it names call and field."}},
		{Day: PageToLook, spoil: spoil{of: Look, answer: Page(http.StatusOK)}, Want: Want{Open, false, notJSON, proxy}},
		{Day: ErrorInLook, spoil: spoil{of: Look}, own: true, Want: Want{Open, false, notJSON, itself + "Else ask the provider, with the id of the answer."}},
		{Day: HugeLook, spoil: spoil{of: Look, answer: hugeBody()}, Want: Want{Open, false, "too large", proxy}},
		{Day: RedirectLook, spoil: spoil{of: Look, answer: moved(http.StatusFound)}, Want: Want{Open, false, "302", redirects}},
		{Day: Missing, spoil: spoil{of: Look}, own: true, Want: Want{Stuck, false, "404", "Make the object anew, or put its present id into the spec; " + retry}},
		{Day: UnknownWord, spoil: spoil{of: Look}, own: true, Want: Want{End: Open, Do: "Look at the object at the provider; report the word."}},
		{Day: NoRightToLook, spoil: spoil{of: Look}, own: true, Want: Want{Stuck, false, "403", "Grant the call that the reason names; " + retry}},
		{Day: Revoked, own: true, Want: Want{Stuck, false, "401", "Make a new credential, put it where the target's reference points, on each node; " + retry}},
		{Day: Expired, own: true, Want: Want{Stuck, false, "401", "Make a new credential, put it where the target's reference points, on each node; " + retry}},
		{Day: Skewed, own: true, Want: Want{Done, false, "", "Nothing: no clock of a node counts here."}},
		{Day: NoRightToWrite, spoil: spoil{of: Write}, own: true, Want: Want{Stuck, false, "403", "Grant the call that the reason names; " + retry}},
		{Day: PageToWrite, spoil: spoil{of: Write, answer: Page(http.StatusOK)}, Want: Want{Open, true, notJSON, proxy}},
		{Day: PageAfterWrite, spoil: spoil{of: Write, answer: Page(http.StatusOK), after: true}, Want: Want{End: Done, Do: "Nothing: the read after it saw the value."}},
		{Day: ErrorInWrite, spoil: spoil{of: Write}, own: true, Want: Want{Open, true, notJSON, itself + "Else ask the provider, with the id of the answer."}},
		{Day: HugeWrite, spoil: spoil{of: Write, answer: hugeBody(), after: true}, Want: Want{End: Done, Do: "Nothing: the read after it saw the value."}},
		{Day: RedirectWrite, spoil: spoil{of: Write, answer: moved(http.StatusTemporaryRedirect)}, Want: Want{Open, false, "307", redirects}},
		{Day: OddWrite, spoil: spoil{of: Write, after: true}, own: true, Want: Want{End: Done, Do: "Nothing: the read after it saw the value."}},
	}
}
