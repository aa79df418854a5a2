package actuators

// Standing is what a readable object that takes effect at once shows, as far as
// an action needs it.
type Standing struct {
	Match  bool // its value is as wanted
	Marked bool // it carries a marker
	Marker Marker
}

// Verdict judges it. An object that carries no marker of this master is judged
// by its value alone: whoever changed it, it is written again.
//
//	marker          value as wanted   another value
//	cache/7         applied           foreign: edited since (absent to a mend)
//	cache/6         absent            absent
//	cache/8         newer             newer
//	of a cluster    newer             newer
//	none, or of
//	another master  applied           absent
func (s Standing) Verdict(w Work) Verdict {
	ours := MarkerOf(w.Cluster, w.Action.For)
	mine := s.Marked && s.Marker.Master == ours.Master
	switch {
	case s.Marked && s.Marker.Cluster != ours.Cluster:
		return Newer
	case mine && s.Marker.Number > ours.Number:
		return Newer
	case mine && s.Marker.Number < ours.Number:
		return Absent
	case s.Match:
		return Applied
	case mine && !w.Action.Mend:
		return Foreign
	}
	return Absent
}
