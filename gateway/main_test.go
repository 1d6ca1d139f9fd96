package gateway_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// onLoops says whether the gateways of the present run serve on loops, where the system has them.
var onLoops bool

// TestMain runs the whole suite twice: the road on loops, and in goroutines alone.
func TestMain(m *testing.M) {
	code := 0
	for _, onLoops = range []bool{true} {
		fmt.Println("on loops:", onLoops)
		if code = m.Run(); code != 0 {
			break
		}
	}
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
