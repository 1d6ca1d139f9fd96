package affinity_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
)

// A goroutine for each pipeline would grow its stack each time.
func TestSendersAreKept(t *testing.T) {
	server := affinitytest.StartRedis(t)
	r := affinity.NewRedis(open(t, server.URL()), "t:")
	sids := strings.Fields(strings.Repeat("sid ", 100))
	if n := affinity.Senders(t.Context(), r, sids); n > 10 {
		t.Errorf("%d operations were sent by %d goroutines", len(sids), n)
	}
}

// What is not waited for ends in time all the same: what a Redis that hangs was sent, and what was not sent because of that.
func TestOperationsEndInTime(t *testing.T) {
	server := affinitytest.StartRedis(t)
	r := affinity.NewRedis(open(t, server.URL()), "t:")
	if err := r.Bind(t.Context(), "sid", affinitytest.Example); err != nil {
		t.Fatal(err)
	}
	server.Pause()
	const operations = 1000 // more than what is sent at once
	ended, began := make(chan error, operations), time.Now()
	for i := range operations {
		r.LookupThen(fmt.Sprint("sid", i), func(_ affinity.Binding, err error) { ended <- err })
	}
	outcomes := map[error]int{}
	for range operations {
		err := <-ended
		for _, kind := range []error{affinity.ErrLate, affinity.ErrBusy} {
			if errors.Is(err, kind) {
				outcomes[kind]++
			}
		}
	}
	if took := time.Since(began); outcomes[affinity.ErrLate] == 0 || outcomes[affinity.ErrBusy] == 0 ||
		outcomes[affinity.ErrLate]+outcomes[affinity.ErrBusy] != operations || took < 100*time.Millisecond || took > 5*time.Second {
		t.Errorf("%v after %v", outcomes, took)
	}
	server.Resume()
	affinitytest.Eventually(t, "it answers again", func() bool {
		b, err := r.Lookup(t.Context(), "sid")
		return err == nil && b.Node == affinitytest.Example.Node
	})
	select {
	case err := <-ended:
		t.Errorf("one ended twice: %v", err)
	default:
	}
}
