// Package e2e_test runs sidway as its users do: replicas are processes of the real binary, nodes are processes of the
// reference servers, clients are the reference libraries, and each TCP connection goes to the next replica in turn.
//
// It needs node (18 or later) with the modules of package.json, redis-server, make and the Go tool, and fails without
// them. E2E_RACE=1 builds the replicas with the race detector, E2E_TLS=1 has clients come to them by TLS.
package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// buildDir holds the binaries that the tests run; TestMain makes and removes it.
var buildDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "sidway-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	buildDir = dir
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// race tells that the replicas are built with the race detector.
var race = os.Getenv("E2E_RACE") == "1"

// sidwayBinary and barenodeBinary build once, when the first test asks.
var (
	sidwayBinary = sync.OnceValues(func() (string, error) {
		if race {
			return build("sidway", "go", "build", "-race", "-o", buildDir, "../cmd/sidway")
		}
		return build("sidway", "make", "-s", "-C", "..", "build", "BIN="+buildDir)
	})
	barenodeBinary = sync.OnceValues(func() (string, error) {
		return build("barenode", "go", "-C", "../adapter", "build", "-o", buildDir, "./internal/barenode")
	})
)

// build runs a command that puts the program name into buildDir.
func build(name string, argv ...string) (string, error) {
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return filepath.Join(buildDir, name), nil
}

func binaryOf(t *testing.T, build func() (string, error)) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
