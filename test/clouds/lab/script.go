package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Script is a program of the kind "command" with its check: it keeps the
// master's address in a file, and writes each time that it does into a journal.
type Script struct {
	Program, Check string // paths
	dir            string
}

// scriptText is the program. A line of the file "faults" is used up by each run.
const scriptText = `#!/bin/sh
set -eu
cd '%s'
hurt=""
if [ -s faults ]; then hurt=$(head -n 1 faults); tail -n +2 faults > faults.new; mv faults.new faults; fi
if [ "$hurt" = before ]; then echo "not now"; exit 1; fi
echo "$POINTSMAN_ACTION $(cut -d ' ' -f 1 value) $POINTSMAN_NEW" >> journal
echo "$POINTSMAN_NEW $POINTSMAN_MARKER" > value.new
mv value.new value
if [ "$hurt" = after ]; then exit 22; fi
if [ "$hurt" = lost ]; then kill -9 $$; fi
`

const scriptCheckText = `#!/bin/sh
set -eu
cd '%s'
cut -s -d ' ' -f 2- value
[ "$(cut -d ' ' -f 1 value)" = "$POINTSMAN_NEW" ]
`

func newScript(dir string) (*Script, error) {
	s := &Script{dir: filepath.Join(dir, "script")}
	s.Program, s.Check = filepath.Join(s.dir, "reconfig.sh"), filepath.Join(s.dir, "check.sh")
	err := os.Mkdir(s.dir, 0o700)
	for name, text := range map[string]string{"value": "none\n", "journal": "", "faults": ""} {
		err = errors.Join(err, os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600))
	}
	for path, text := range map[string]string{s.Program: scriptText, s.Check: scriptCheckText} {
		err = errors.Join(err, os.WriteFile(path, []byte(fmt.Sprintf(text, s.dir)), 0o700)) //nolint:gosec // a program has to be executable
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

// Deeds are the runs that wrote, in order.
func (s *Script) Deeds() (list []Deed, err error) {
	text, err := os.ReadFile(filepath.Join(s.dir, "journal"))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) != 3 {
			return nil, fmt.Errorf("journal of the script: %q", line)
		}
		list = append(list, Deed{Action: f[0], Before: f[1], After: f[2]})
	}
	return list, nil
}
