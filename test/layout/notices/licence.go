package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const apache = "Apache-2.0"

// notice is what one module asks to be told of it.
type notice struct {
	module
	licence string
	texts   []string // its licence files and its NOTICE
}

var errUnknown = errors.New("licence is not among those known; read it, then add it to licence.go or drop the module")

// read finds the licence of a module in its folder, or in the one above when
// the module is a folder of a larger repository.
func read(m module) (notice, error) {
	n := notice{module: m}
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		return n, fmt.Errorf("read licence of %s: %w", m.path, err)
	}
	var names []string
	for _, e := range entries {
		if licenceFile(e.Name()) && !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	found := map[string]bool{}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(m.dir, name))
		if err != nil {
			return n, fmt.Errorf("read licence of %s: %w", m.path, err)
		}
		if kind := identify(string(text)); kind != "" {
			found[kind] = true
		} else if !strings.HasPrefix(strings.ToUpper(name), "NOTICE") && !strings.HasPrefix(strings.ToUpper(name), "PATENTS") {
			return n, fmt.Errorf("%s: %s: %w", m.path, name, errUnknown)
		}
		n.texts = append(n.texts, string(bytes.TrimSpace(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")))))
	}
	if len(found) == 0 {
		return n, fmt.Errorf("%s: no licence file: %w", m.path, errUnknown)
	}
	var kinds []string
	for kind := range found {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	n.licence = strings.Join(kinds, " and ")
	return n, nil
}

func licenceFile(name string) bool {
	upper := strings.ToUpper(name)
	if ext := filepath.Ext(upper); ext == ".GO" || ext == ".HEADER" {
		return false
	}
	for _, prefix := range []string{"LICENSE", "LICENCE", "COPYING", "NOTICE", "PATENTS"} {
		if strings.HasPrefix(upper, prefix) {
			return true
		}
	}
	return false
}

// identify names a licence by sentences that only it has. Empty means unknown,
// or one that we do not link.
func identify(text string) string {
	flat := regexp.MustCompile(`\s+`).ReplaceAllString(text, " ")
	has := func(s string) bool { return strings.Contains(flat, s) }
	switch {
	case has("GNU GENERAL PUBLIC LICENSE"), has("GNU AFFERO"), has("GNU LESSER"):
		return ""
	case has("Apache License") && has("TERMS AND CONDITIONS FOR USE, REPRODUCTION"):
		return apache
	case has("Mozilla Public License Version 2.0"), has("Mozilla Public License, version 2.0"):
		return "MPL-2.0"
	case has("Redistribution and use in source and binary forms") && (has("Neither the name") || has("names of its contributors")):
		return "BSD-3-Clause"
	case has("Redistribution and use in source and binary forms"):
		return "BSD-2-Clause"
	case has("Permission is hereby granted, free of charge, to any person obtaining"):
		return "MIT"
	case has("Permission to use, copy, modify, and/or distribute this software for any purpose"),
		has("Permission to use, copy, modify, and distribute this software for any purpose"):
		return "ISC"
	}
	return ""
}

// render writes the page: a table, then each distinct text once with the
// modules that it belongs to.
func render(notices []notice) []byte {
	var b bytes.Buffer
	b.WriteString("# Third-party notices\n\nMade by `make notices`; do not edit. Pointsman itself is under Apache-2.0, see LICENSE.\n" +
		"These modules are linked into its programs or copied into its tree.\n\n| module | version | licence |\n|---|---|---|\n")
	var texts []string
	users := map[string][]string{}
	for _, n := range notices {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", n.path, n.version, n.licence)
		for _, text := range n.texts {
			if _, known := users[text]; !known {
				texts = append(texts, text)
			}
			users[text] = append(users[text], n.path)
		}
	}
	for _, text := range texts {
		fmt.Fprintf(&b, "\n## %s\n\n```text\n%s\n```\n", strings.Join(users[text], ", "), text)
	}
	return b.Bytes()
}
