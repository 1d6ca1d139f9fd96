//go:build linux

package stage

import (
	"fmt"
	"os"
	"testing"
)

// TestMain runs the tests in namespaces of their own, where their processes end with them.
func TestMain(m *testing.M) {
	if code, err := Enclose(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	} else if code >= 0 {
		os.Exit(code)
	}
	os.Exit(m.Run())
}
