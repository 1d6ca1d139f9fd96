package replica_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway/replica"
)

// The watchdog hears nothing while a loop hangs, and again when it goes on.
func TestWatchdog(t *testing.T) {
	rep, err := replica.New(settings(engineiotest.Start(t, engineiotest.Options{})), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan struct{})
	rep.Watchdog = time.Millisecond
	ended := make(chan struct{})
	rep.Notify = func(state string) {
		if state == "WATCHDOG=1" {
			select {
			case told <- struct{}{}:
			case <-ended:
			}
		}
	}
	run(t, rep)
	t.Cleanup(func() { close(ended) })
	hears := func() {
		t.Helper()
		select {
		case <-told:
		case <-time.After(patience):
			t.Fatal("nothing is told")
		}
	}
	hears()
	hears()
	release := rep.Hang()
	quiet := time.After(100 * time.Millisecond)
	for n := 0; ; n++ {
		select {
		case <-told: // once, if its pulses had gone before
			if n > 0 {
				t.Fatal("told that all is well while a loop hangs")
			}
			continue
		case <-quiet:
		}
		break
	}
	release()
	hears()
}
