//go:build linux

package race_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sidway/sidway/bench/checker/race"
)

func TestRace(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "sidway")
	build := exec.Command("go", "build", "-o", program, "github.com/sidway/sidway/cmd/sidway")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	rows, err := race.Run(t.Context(), race.Plan{Sidway: program, Dir: dir, Seed: 1, Shots: 200, Each: func(r race.Row) { t.Log(r) }})
	if err != nil {
		t.Fatal(err)
	}
	_ = rows
}
