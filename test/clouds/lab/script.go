package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Script is a program of the kind "command" with its check. It keeps the master's
// address in a journal, whose last line is what stands: a run that is killed has
// written it whole or not at all.
type Script struct {
	Program, Check string // paths
	dir            string
}

// scriptText is the program. A line of the file "faults" is used up by each run,
// of which there is one at a time: that of a dead leader may still go on.
const scriptText = `#!/bin/sh
set -eu
cd 'DIR'
exec 9> lock
flock 9
hurt=""
if [ -s faults ]; then hurt=$(head -n 1 faults); tail -n +2 faults > faults.new; mv faults.new faults; fi
if [ "$hurt" = before ]; then echo "not now"; exit 1; fi
if [ "$hurt" = cut ]; then kill -9 $$; fi
if [ "$hurt" = delay ]; then sleep SECONDS; fi
was=$(tail -n 1 journal | cut -d ' ' -f 3)
echo "$POINTSMAN_ACTION ${was:-none} $POINTSMAN_NEW $POINTSMAN_MARKER" >> journal
if [ "$hurt" = after ]; then exit 22; fi
if [ "$hurt" = lost ]; then kill -9 $$; fi
`

const scriptCheckText = `#!/bin/sh
set -eu
cd 'DIR'
tail -n 1 journal | cut -s -d ' ' -f 4-
[ "$(tail -n 1 journal | cut -s -d ' ' -f 3)" = "$POINTSMAN_NEW" ]
`

func newScript(dir string) (*Script, error) {
	s := &Script{dir: filepath.Join(dir, "script")}
	s.Program, s.Check = filepath.Join(s.dir, "reconfig.sh"), filepath.Join(s.dir, "check.sh")
	err := os.Mkdir(s.dir, 0o700)
	for name, text := range map[string]string{"journal": "", "faults": ""} {
		err = errors.Join(err, os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600))
	}
	fill := strings.NewReplacer("DIR", s.dir, "SECONDS", strconv.Itoa(int(hurtDelay.Seconds())))
	for path, text := range map[string]string{s.Program: scriptText, s.Check: scriptCheckText} {
		err = errors.Join(err, os.WriteFile(path, []byte(fill.Replace(text)), 0o700)) //nolint:gosec // a program has to be executable
	}
	return s, err
}

func (s *Script) remove() error { return os.RemoveAll(s.dir) }

func (s *Script) addition(rate int) addition {
	return addition{
		step:   "{name: script, target: script, command: {}}",
		target: fmt.Sprintf("script: {rate: %d, command: {program: %q, check: %q}}", rate, s.Program, s.Check),
	}
}

// Break says what goes wrong with the next runs, one each.
func (s *Script) Break(list ...Hurt) error {
	f, err := os.OpenFile(filepath.Join(s.dir, "faults"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	for _, h := range list {
		_, e := fmt.Fprintln(f, string(h))
		err = errors.Join(err, e)
	}
	return errors.Join(err, f.Close())
}

// mend takes the faults away in one step, a run may be reading them.
func (s *Script) mend() error {
	fresh := filepath.Join(s.dir, "faults.none")
	return errors.Join(os.WriteFile(fresh, nil, 0o600), os.Rename(fresh, filepath.Join(s.dir, "faults")))
}

// holds is the value that stands.
func (s *Script) holds() (string, error) {
	deeds, err := s.Deeds()
	if err != nil || len(deeds) == 0 {
		return "", err
	}
	return deeds[len(deeds)-1].After, nil
}

// Deeds are the runs that wrote, in order.
func (s *Script) Deeds() (list []Deed, err error) {
	text, err := os.ReadFile(filepath.Join(s.dir, "journal"))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 3 {
			return nil, fmt.Errorf("journal of the script: %q", line)
		}
		list = append(list, Deed{Action: f[0], Before: f[1], After: f[2]})
	}
	return list, nil
}
