//go:build linux && faults

package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestFaults does every fault once, small. How long things take is for a quiet machine and make faults: here nothing may be lost.
func TestFaults(t *testing.T) {
	checker := filepath.Join(t.TempDir(), "checker")
	if out, err := exec.Command("go", "build", "-o", checker, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	dir, err := os.MkdirTemp("", "faults-") // kept when the test fails
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), checker, "-parallel", "3", "-slack", "0", "-out", dir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v, and the histories are in %s", err, dir)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
}
