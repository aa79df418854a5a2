package show

import "fmt"

// Grade is what one check came to.
type Grade string

// The grades, the best first.
const (
	Passed  Grade = "ok"
	Skipped Grade = "skip" // it could not be looked at from here; neither good nor bad
	Warned  Grade = "warn"
	Failed  Grade = "fail"
)

// Check is one thing that was looked at.
type Check struct {
	Name    string // what was asked: quorum, versions, sentinels
	Subject string // what it concerns, such as a master's id; empty: the cluster
	Grade   Grade
	Why     string // the facts, one sentence
	Do      string // what to do about it; empty when it is well
}

// Checks are the results in the order in which they are shown.
type Checks []Check

// Worst is the worst grade of all; Passed when there is none.
func (c Checks) Worst() Grade {
	worst := Passed
	for _, one := range c {
		if one.Grade == Failed || one.Grade == Warned && worst == Passed {
			worst = one.Grade
		}
	}
	return worst
}

func ok(name, subject, format string, args ...any) Check {
	return Check{Name: name, Subject: subject, Grade: Passed, Why: fmt.Sprintf(format, args...)}
}

// Fails is a check that did not pass.
func Fails(name, subject, why, do string) Check {
	return Check{Name: name, Subject: subject, Grade: Failed, Why: why, Do: do}
}

// Warns is a check that passed with a warning.
func Warns(name, subject, why, do string) Check {
	return Check{Name: name, Subject: subject, Grade: Warned, Why: why, Do: do}
}

// Passes is a check that passed.
func Passes(name, subject, why string) Check { return ok(name, subject, "%s", why) }

// Parts is the same for programs.
func (c Checks) Parts() []Part {
	type row struct {
		Check   string `json:"check"`
		Subject string `json:"subject"`
		Grade   Grade  `json:"grade"`
		Why     string `json:"why"`
		Do      string `json:"do"`
	}
	rows := make([]row, len(c))
	for i, one := range c {
		rows[i] = row{one.Name, one.Subject, one.Grade, one.Why, one.Do}
	}
	return []Part{
		{"grade", c.Worst()}, {"passed", c.count(Passed)}, {"skipped", c.count(Skipped)}, {"warnings", c.count(Warned)}, {"failed", c.count(Failed)}, {"checks", rows},
	}
}

func (c Checks) count(g Grade) int {
	n := 0
	for _, one := range c {
		if one.Grade == g {
			n++
		}
	}
	return n
}

// Checks writes a line for each check, what to do below it, and the sum.
func (p *Printer) Checks(c Checks) {
	tones := map[Grade]tone{Passed: good, Skipped: faint, Warned: warn, Failed: bad}
	longest := 0
	for _, one := range c {
		longest = max(longest, len(one.title()))
	}
	for _, one := range c {
		word := p.paint(tones[one.Grade], fmt.Sprintf("%-4s", one.Grade))
		p.printf("%s  %-*s  %s\n", word, longest, one.title(), oneLine(one.Why))
		if one.Do != "" {
			p.printf("%*s  do: %s\n", 4, "", oneLine(one.Do))
		}
	}
	skipped := ""
	if n := c.count(Skipped); n > 0 {
		skipped = fmt.Sprintf(", %d skipped", n)
	}
	p.printf("%s: %d ok, %s, %d failed%s\n", p.paint(tones[c.Worst()], string(c.Worst())), c.count(Passed),
		count(c.count(Warned), "warning"), c.count(Failed), skipped)
}

func (c Check) title() string {
	if c.Subject == "" {
		return c.Name
	}
	return c.Name + " " + c.Subject
}

// Skips is a check that could not be made from here.
func Skips(name, subject, why, do string) Check {
	return Check{Name: name, Subject: subject, Grade: Skipped, Why: why, Do: do}
}
