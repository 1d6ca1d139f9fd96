//go:build soak

package main_test

import (
	"testing"
	"time"

	"github.com/sidway/sidway/affinity/affinitytest"
)

// TestTwoMinutesOfFaults is the long form, with a real Redis that is killed and comes back with its data.
func TestTwoMinutesOfFaults(t *testing.T) {
	rdb := affinitytest.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	d := startDemo(t, rdb.URL(), "--history", "10000", "--node-js", "1")
	u := startUsers(t, usersConfig{URL: d.url, Users: 50, Rooms: 5, Polling: 17})
	u.do("enter", nil, nil)
	u.do("talk", map[string]any{"pace": 1500}, nil)
	rounds := 0
	for began := time.Now(); time.Since(began) < 2*time.Minute; rounds++ {
		breakAll(t, u, func() {
			rdb.Kill()
			waitFor(t, 3*time.Second)
			rdb.Restart()
			waitFor(t, 2*time.Second)
		})
	}
	u.do("hush", nil, nil)
	u.do("settle", nil, nil)
	var r report
	u.do("report", nil, &r)
	t.Logf("%d rounds of faults, %d messages, all where they belong unless said otherwise", rounds, r.check(t))
	u.do("leave", nil, nil)
}
