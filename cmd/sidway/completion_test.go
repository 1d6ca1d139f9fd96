package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// bash completes commands, their flags, and what they print for.
func TestBashCompletion(t *testing.T) {
	_, script, _ := call(t, none, "completion", "bash")
	file := write(t, script)
	for line, want := range map[string]string{
		"sidway ":                       "serve check health status trace move drain undrain release guard reload completion man version help",
		"sidway s":                      "serve status",
		"sidway serve --limits.head":    "--limits.header-time",
		"sidway drain n2 --":            "--admin --admin.token --cluster --config --deadline --wait",
		"sidway status --w":             "--watch",
		"sidway completion ":            "bash fish zsh",
		"sidway help r":                 "release reload",
		"sidway check --config side":    "", // a file, by bash's own means
		"sidway version ":               "",
		"sidway undrain --cluster x --": "--admin --admin.token --cluster --config",
	} {
		argv := append([]string{"-c", `. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _sidway; echo "${COMPREPLY[@]}"`, "bash", file}, strings.Split(line, " ")...)
		out, err := exec.CommandContext(t.Context(), "bash", argv...).CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%q: %q %v", line, got, err)
		}
	}
}

// Each command and each of its flags is there for every shell.
func TestCompletionKnowsAll(t *testing.T) {
	for shell, flag := range map[string]string{"bash": "--", "zsh": "--", "fish": "-l "} {
		status, script, _ := call(t, none, "completion", shell)
		if status != 0 {
			t.Errorf("%s: %d", shell, status)
		}
		for _, v := range verbs {
			if !strings.Contains(script, v.name) {
				t.Errorf("%s: no %s", shell, v.name)
			}
			for _, f := range v.flags() {
				if !strings.Contains(script, flag+f.Name) {
					t.Errorf("%s: no %s%s of %s", shell, flag, f.Name, v.name)
				}
			}
		}
	}
	if n := len(verbs[slices.Index(names(), "serve")].flags()); n < 20 {
		t.Errorf("serve has %d flags", n)
	}
	if status, _, said := call(t, none, "completion", "csh"); status != 2 || !strings.Contains(said, "there are bash, fish and zsh") {
		t.Errorf("another shell: %d %s", status, said)
	}
}

// The manual page tells all that help tells, and a formatter has nothing to say of it.
func TestManual(t *testing.T) {
	status, page, _ := call(t, none, "man")
	if status != 0 {
		t.Fatal(status)
	}
	file := write(t, page)
	out, err := exec.CommandContext(t.Context(), "groff", "-man", "-Tutf8", "-ww", "-P-cbou", "-rLL=130n", file).CombinedOutput()
	if err != nil || strings.Contains(string(out), "warning") || strings.Contains(string(out), "error:") {
		t.Errorf("%v\n%s", err, out)
	}
	plain := func(text string) string { return strings.Join(strings.Fields(text), " ") }
	got := plain(string(out))
	for _, v := range verbs {
		if !strings.Contains(got, plain(v.help())) {
			t.Errorf("the help of %s is not in it", v.name)
		}
	}
	if !strings.Contains(got, plain(settingsText())) {
		t.Error("the settings are not in it")
	}
}
