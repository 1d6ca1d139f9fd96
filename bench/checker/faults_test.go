//go:build linux && faults

package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestFaults does every fault once, small. How long things take is for a quiet machine and make faults: here nothing may be lost. Three run at a time; on a
// machine that is too busy for that even clients give up, so that what failed is done once more alone, and judged by that.
func TestFaults(t *testing.T) {
	checker := filepath.Join(t.TempDir(), "checker")
	if out, err := exec.Command("go", "build", "-o", checker, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	dir, err := os.MkdirTemp("", "faults-") // kept when one has failed
	if err != nil {
		t.Fatal(err)
	}
	run := func(dir string, args ...string) error {
		cmd := exec.CommandContext(t.Context(), checker, append([]string{"-slack", "0", "-out", dir}, args...)...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		return cmd.Run()
	}
	const suffix = "-sidway-1" // of what a run that failed leaves behind
	if err := run(dir, "-parallel", "3"); err != nil {
		failed, _ := filepath.Glob(filepath.Join(dir, "*"+suffix))
		if len(failed) == 0 {
			t.Fatal(err)
		}
		for i, path := range failed {
			failed[i] = strings.TrimSuffix(filepath.Base(path), suffix)
		}
		t.Logf("once more alone: %v; what came of them beside others is in %s", failed, dir)
		if err := run(filepath.Join(dir, "again"), "-parallel", "1", "-faults", strings.Join(failed, ",")); err != nil {
			t.Errorf("%v, and the histories are in %s", err, dir)
		}
		return
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
}
