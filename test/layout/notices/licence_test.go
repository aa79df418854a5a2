package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const mit = "MIT License\n\nCopyright (c) A\n\nPermission is hereby granted, free of charge, to any person\nobtaining a copy"

func folder(t *testing.T, files map[string]string) module {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return module{"example.com/m", "v1.0.0", dir}
}

func TestReadFindsTheLicence(t *testing.T) {
	n, err := read(folder(t, map[string]string{"LICENSE.md": mit, "NOTICE": "by A", "license.go": "package m"}))
	if err != nil || n.licence != "MIT" || len(n.texts) != 2 {
		t.Errorf("got %q, %d texts, %v", n.licence, len(n.texts), err)
	}
	n, err = read(folder(t, map[string]string{"LICENSE": mit, "LICENSE-b": "Apache License\nTERMS AND CONDITIONS FOR USE, REPRODUCTION, AND"}))
	if err != nil || n.licence != "Apache-2.0 and MIT" {
		t.Errorf("got %q, %v", n.licence, err)
	}
}

func TestReadRefusesWhatNobodyHasRead(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"none":              {"README": mit},
		"unknown":           {"LICENSE": "Do what you like."},
		"copyleft":          {"COPYING": "GNU GENERAL PUBLIC LICENSE Version 3 ... " + mit},
		"second is unknown": {"LICENSE": mit, "LICENSE-data": "All rights reserved."},
	} {
		if n, err := read(folder(t, files)); !errors.Is(err, errUnknown) {
			t.Errorf("%s: got %q, %v", name, n.licence, err)
		}
	}
}

func TestRenderTellsEachTextOnce(t *testing.T) {
	a := notice{module{"a", "v1", ""}, "MIT", []string{mit}}
	b := notice{module{"b", "v2", ""}, "MIT", []string{mit}}
	text := string(render([]notice{a, b}))
	if strings.Count(text, mit) != 1 || !strings.Contains(text, "## a, b\n") || !strings.Contains(text, "| b | v2 | MIT |") {
		t.Errorf("rendered\n%s", text)
	}
}
