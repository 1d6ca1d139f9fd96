package adapter_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if goNodeDir != "" {
			_ = os.RemoveAll(goNodeDir)
		}
		os.Exit(code)
	}))
}
