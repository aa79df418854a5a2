package lab

import "fmt"

// steps are those that move the pools which depend on the master.
func steps(pools []Shared) (list []addition) {
	for _, p := range pools {
		if p.Moved {
			list = append(list, addition{step: fmt.Sprintf("{name: pool-%s, leases: {pool: %s}}", p.Name, p.Name)})
		}
	}
	return list
}

// declare adds pools to a spec; those that are moved depend on its master.
func declare(spec, master string, pools []Shared) string {
	if len(pools) == 0 {
		return spec
	}
	spec += "\npools:\n"
	for _, p := range pools {
		fields := p.Spec
		if p.Moved {
			fields += ", master: " + master
		}
		spec += fmt.Sprintf("  %s: {%s}\n", p.Name, fields)
	}
	return spec
}
