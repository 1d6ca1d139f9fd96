//go:build linux

package race_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sidway/sidway/bench/checker/race"
	"github.com/sidway/sidway/bench/rival"
)

// No POST fails because its node closes an idle connection, and none that a node has handled is sent again. That nginx fails some shows that
// the shots hit.
func TestPostsMeetTheEndOfConnections(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "sidway")
	build := exec.Command("go", "build", "-o", program, "github.com/sidway/sidway/cmd/sidway")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	rows, err := race.Run(t.Context(), race.Plan{
		Sidway: program, Dir: dir, Seed: 1, Shots: 100, Rivals: []string{rival.Sidway, "nginx-1"},
		Each: func(r race.Row) { t.Log(r) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 10 {
		t.Errorf("%d rows", len(rows))
	}
	for _, r := range rows {
		if err := r.Wrong(); err != nil {
			t.Error(err)
		}
		hit := r.Case == race.Cut || r.Case == race.Busy && r.Gateway != rival.Sidway
		if hit && r.Failed == 0 {
			t.Errorf("no shot of %s through %s has hit", r.Case, r.Gateway)
		}
	}
}
