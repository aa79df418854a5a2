package sentinel

import (
	"cmp"
	"slices"
	"time"
)

// Merge completes this node's view by what other coordinators see, so that a
// leader cut from the Sentinels still learns of a switch. Own direct sight
// wins; of the peers the freshest that is at most PeerFreshFor old. Peers' views
// must have passed Arrived; Master of a peer's view names the same master, and
// peer is how Via calls it.
func Merge(own View, peers map[string]View, now time.Time) View {
	names := make([]string, 0, len(peers))
	for name := range peers {
		names = append(names, name)
	}
	slices.Sort(names)
	own.Reports = slices.Clone(own.Reports)
	own.Roles = slices.Clone(own.Roles)
	own.Notes = slices.Clone(own.Notes)
	for _, name := range names {
		p := peers[name]
		if p.Master != own.Master || now.Sub(p.At) > PeerFreshFor {
			continue
		}
		own.Switching = own.Switching || p.Switching
		if p.Switching && p.Began.After(own.Began) {
			own.Began = p.Began
		}
		for i := range own.Reports {
			own.Reports[i] = mergeReport(own.Reports[i], p.Reports, name, now)
		}
		for i := range own.Roles {
			own.Roles[i] = mergeRole(own.Roles[i], p.Roles, name, now)
		}
		own.Notes = mergeNotes(own.Notes, p.Notes)
	}
	return own
}

func mergeReport(own Report, peers []Report, name string, now time.Time) Report {
	i := slices.IndexFunc(peers, func(r Report) bool { return r.Sentinel == own.Sentinel })
	if i < 0 {
		return own
	}
	p := peers[i]
	direct := own.Via == "" && own.Seen && now.Sub(own.At) <= FreshFor
	if direct || p.Via != "" || !p.Seen || now.Sub(p.At) > PeerFreshFor {
		return own
	}
	if own.Seen && own.Via != "" && !p.At.After(own.At) {
		return own
	}
	p.Via = name
	return p
}

func mergeRole(own Role, peers []Role, name string, now time.Time) Role {
	i := slices.IndexFunc(peers, func(r Role) bool { return r.Address == own.Address })
	if i < 0 {
		return own
	}
	p := peers[i]
	answered := own.Role != "" && own.Role != RoleUnreachable
	direct := own.Via == "" && answered && now.Sub(own.At) <= FreshFor
	if direct || p.Via != "" || p.Role == "" || p.Role == RoleUnreachable || now.Sub(p.At) > PeerFreshFor {
		return own
	}
	if answered && own.Via != "" && !p.At.After(own.At) {
		return own
	}
	p.Via = name
	return p
}

// mergeNotes keeps one note per Sentinel and channel, the newest.
func mergeNotes(own, peers []Note) []Note {
	for _, p := range peers {
		i := slices.IndexFunc(own, func(n Note) bool { return n.Sentinel == p.Sentinel && n.Channel == p.Channel })
		switch {
		case i < 0:
			own = append(own, p)
		case p.At.After(own[i].At):
			own[i] = p
		}
	}
	slices.SortStableFunc(own, func(a, b Note) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Channel, b.Channel)) })
	return own
}
