package adapter_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// The library's own: a session that ends while it begins leaves a timer, which waits for its ping and then ends.
	timers := goleak.IgnoreTopFunction("github.com/zishang520/engine.io/v2/utils.SetTimeout.func1")
	goleak.VerifyTestMain(m, timers, goleak.Cleanup(func(code int) {
		for _, dir := range []string{goNodeDir, recoveryDir} {
			if dir != "" {
				_ = os.RemoveAll(dir)
			}
		}
		os.Exit(code)
	}))
}
