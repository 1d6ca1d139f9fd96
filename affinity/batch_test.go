package affinity_test

import (
	"strings"
	"testing"

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
