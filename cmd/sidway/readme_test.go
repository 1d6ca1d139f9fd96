package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The README's command is understood as it stands there, and listens where the README says.
func TestCommandOfTheREADME(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`go run \./cmd/sidway serve (.*?) +#`).FindSubmatch(readme)
	at := regexp.MustCompile("Clients connect to `http://localhost(:[0-9]+)`").FindSubmatch(readme)
	if m == nil || at == nil {
		t.Fatal("README.md has no command, or does not say where clients connect")
	}
	status, stdout, stderr := call(t, none, append([]string{"check"}, strings.Fields(string(m[1]))...)...)
	if status != 0 || !regexp.MustCompile(`(?m)^listen +`+string(at[1])+`\b`).MatchString(stdout) {
		t.Errorf("got %d %s%s", status, stdout, stderr)
	}
}

// Each command of sidway's that a page shows is one.
func TestCommandsOfThePages(t *testing.T) {
	_, _, said := call(t, none)
	said, _, _ = strings.Cut(strings.TrimPrefix(said, "sidway: say what to do: "), "\n")
	commands := regexp.MustCompile(`[a-z]+`).FindAllString(said, -1)
	shown := 0
	for _, pattern := range []string{"../../*.md", "../../docs/*.md"} {
		pages, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, page := range pages {
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile("(?m)(?:`|^    )sidway ([a-z-]+)").FindAllSubmatch(text, -1) {
				if shown++; !slices.Contains(commands, string(m[1])) {
					t.Errorf("%s: there is no sidway %s", page, m[1])
				}
			}
		}
	}
	if shown < 40 {
		t.Errorf("only %d commands are found", shown)
	}
}
