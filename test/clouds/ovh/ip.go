package ovh

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"time"
)

// IP is an Additional IP, as Go code seeds and reads it.
type IP struct {
	Block        string   // such as 203.0.113.9/32
	Service      string   // that it is routed to; empty: parked
	Description  string   // empty: null
	Destinations []string // services that it may be moved to, dedicated servers all
	Fixed        bool     // a service's own address, which cannot be moved
}

// IPMove is one move that was carried out, or an edit of the routing by somebody else.
type IPMove struct {
	Block, From, To string
	Seq             int64 // of the call that asked for it; 0: somebody else
	Task            int64
	At              time.Time
}

// IPSecond says what a move does that finds another one of the same block unfinished.
type IPSecond string

// The policies for a second move.
const (
	IPSecondQueue    IPSecond = "queue"    // a task of its own, begun after the other
	IPSecondConflict IPSecond = "conflict" // 409
	IPSecondRefuse   IPSecond = "refuse"   // 400
)

// IPSame says what a move does to where the block is already.
type IPSame string

// The policies for a move to the same service.
const (
	IPSameTask   IPSame = "task" // a task like any other
	IPSameRefuse IPSame = "refuse"
)

// IPDestinations says how the list of destinations answers.
type IPDestinations string

// The forms of the list of destinations.
const (
	IPListed   IPDestinations = "listed" // every family, those without any as empty lists
	IPNulls    IPDestinations = "nulls"  // families without any as null
	IPOff      IPDestinations = "off"    // 404: the call is beta
	IPForeseen IPDestinations = "void"   // no family at all
)

// IPKnobs are the behaviours of moves that public material does not settle. A task keeps what it was made with.
type IPKnobs struct {
	Todo, Doing  time.Duration // of a task: until it is begun, and until it ends
	Outcome      string        // done, cancelled, customerError or ovhError
	Moved        bool          // a task that does not end done has moved the block nonetheless
	Early        bool          // the block is moved when its task is begun, not when it ends
	Second       IPSecond
	Same         IPSame
	Destinations IPDestinations
	TaskLag      time.Duration // how long a new task answers 404
	ListLag      time.Duration // how long it is missing in the list
	TTL          time.Duration // how long a task that has ended is shown; 0: for ever
	ReadLag      time.Duration // how old the answer of an IP is
}

// DefaultIPKnobs are the ordinary behaviours: a move takes half a minute.
func DefaultIPKnobs() IPKnobs {
	return IPKnobs{
		Todo: 5 * time.Second, Doing: 25 * time.Second, Outcome: ipDone,
		Second: IPSecondQueue, Same: IPSameTask, Destinations: IPListed,
	}
}

// Validate refuses unknown words and negative durations.
func (k IPKnobs) Validate() error {
	for _, err := range []error{
		oneOf("outcome", k.Outcome, ipDone, ipCancelled, ipCustomerError, ipOvhError),
		oneOf("second", k.Second, IPSecondQueue, IPSecondConflict, IPSecondRefuse),
		oneOf("same", k.Same, IPSameTask, IPSameRefuse),
		oneOf("destinations", k.Destinations, IPListed, IPNulls, IPOff, IPForeseen),
	} {
		if err != nil {
			return err
		}
	}
	for _, d := range []time.Duration{k.Todo, k.Doing, k.TaskLag, k.ListLag, k.TTL, k.ReadLag} {
		if d < 0 {
			return fmt.Errorf("duration %s: want 0 or more", d)
		}
	}
	return nil
}

// SetIPKnobs replaces the knobs of moves.
func (s *Sim) SetIPKnobs(k IPKnobs) error {
	if err := k.Validate(); err != nil {
		return fmt.Errorf("knobs of moves: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ipKnobs = k
	return nil
}

// ip is an IP with its past and its tasks.
type ip struct {
	IP
	past  []ipPast // what stood before, oldest first
	tasks []*ipTask
}

type ipPast struct {
	service, description string
	until                time.Time
}

// maxPast bounds what is remembered of one IP.
const maxPast = 64

// AddIP seeds an IP. The same block again replaces it.
func (s *Sim) AddIP(i IP) error {
	if _, err := netip.ParsePrefix(i.Block); err != nil {
		return fmt.Errorf("block %q: %w", i.Block, err)
	}
	i.Destinations = slices.Clone(i.Destinations)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ips[i.Block] = &ip{IP: i}
	return nil
}

// IP tells how a block stands now, whatever a read would show.
func (s *Sim) IP(block string) (IP, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.ips[block]
	if !ok {
		return IP{}, fmt.Errorf("ip %s: %w", block, ErrUnknown)
	}
	return i.IP, nil
}

// IPMoves lists what was carried out, oldest first.
func (s *Sim) IPMoves() []IPMove {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ipMoves)
}

// EditIP changes a block at once, as somebody else with support's help would: nil leaves a field as it is.
func (s *Sim) EditIP(block string, service, description *string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.ips[block]
	if !ok {
		return fmt.Errorf("ip %s: %w", block, ErrUnknown)
	}
	if description != nil {
		i.remember()
		i.Description = *description
	}
	if service != nil {
		s.route(i, *service, IPMove{})
	}
	return nil
}

// remember keeps what stands, before it changes.
func (i *ip) remember() {
	if len(i.past) == maxPast {
		i.past = i.past[1:]
	}
	i.past = append(i.past, ipPast{i.Service, i.Description, time.Now()})
}

// shown is what a read answers. The caller holds the simulator's mutex.
func (i *ip) shown(lag time.Duration) (service, description string) {
	for _, p := range i.past {
		if time.Since(p.until) < lag {
			return p.service, p.description
		}
	}
	return i.Service, i.Description
}

// block finds the IP of a call.
func (s *Sim) block(x *exchange) (*ip, error) {
	i, ok := s.ips[x.args[0]]
	if !ok {
		return nil, notFound("This service does not exist")
	}
	return i, nil
}

func (s *Sim) getIP(x *exchange) (any, error) {
	i, err := s.block(x)
	if err != nil {
		return nil, err
	}
	service, description := i.shown(s.ipKnobs.ReadLag)
	kind := "failover"
	if i.Fixed {
		kind = "dedicated"
	}
	return map[string]any{
		"ip": i.Block, "type": kind, "isAdditionalIp": !i.Fixed, "bringYourOwnIp": false, "canBeTerminated": true,
		"version": 4, "country": nil, "campus": nil, "organisationId": nil, "regions": nil, "rir": nil, "iam": nil,
		"description": orNull(description), "routedTo": map[string]any{"serviceName": orNull(service)},
	}, nil
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// putIP takes the one field that may be written.
func (s *Sim) putIP(x *exchange) (any, error) {
	i, err := s.block(x)
	if err != nil {
		return nil, err
	}
	fields, err := x.object()
	if err != nil {
		return nil, err
	}
	given, ok := fields["description"]
	if !ok {
		s.accepted(x.call, false)
		return void{}, nil
	}
	var description *string
	if json.Unmarshal(given, &description) != nil {
		return nil, badRequest("Invalid parameter description")
	}
	now := ""
	if description != nil {
		now = *description
	}
	changed := now != i.Description
	if changed {
		i.remember()
		i.Description = now
	}
	s.accepted(x.call, changed)
	return void{}, nil
}

func (s *Sim) getMove(x *exchange) (any, error) {
	i, err := s.block(x)
	if err != nil {
		return nil, err
	}
	var none any = []any{}
	switch s.ipKnobs.Destinations {
	case IPOff:
		return nil, &refusal{status: http.StatusNotFound, code: "INVALID_URL", class: classOf(404), message: "Got an invalid (or empty) URL"}
	case IPForeseen:
		return map[string]any{}, nil
	case IPNulls:
		none = nil
	}
	servers := []map[string]any{}
	for _, d := range shuffled(s, i.Destinations) {
		servers = append(servers, map[string]any{"service": d, "nexthop": nil})
	}
	return map[string]any{
		"cloudProject": none, "dedicatedCloud": none, "dedicatedServer": servers, "hostingReseller": none, "ipLoadbalancing": none, "vps": none,
	}, nil
}
