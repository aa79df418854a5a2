package sim

import (
	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/executor"
)

// bug is a planted mistake in this composition; nil: none.
type bug struct {
	name        string
	wrapJournal func(*desk) executor.Journal
	wrapKinds   func(actuators.Kinds) actuators.Kinds
}

func (b *bug) journal(d *desk) executor.Journal {
	if b == nil || b.wrapJournal == nil {
		return d
	}
	return b.wrapJournal(d)
}

func (b *bug) kinds(k actuators.Kinds) actuators.Kinds {
	if b == nil || b.wrapKinds == nil {
		return k
	}
	return b.wrapKinds(k)
}
