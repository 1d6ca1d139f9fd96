package replica_test

import (
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway/replica"
)

// Where memory runs short no session begins, and those that live go on.
func TestNoSessionsWithoutMemory(t *testing.T) {
	node := engineiotest.Start(t, engineiotest.Options{})
	r := start(t, settings(node))
	const handshake = "/socket.io/?EIO=4&transport=polling"
	sid := polling(t, r)
	post := func() (status int) {
		res, err := http.Post(r.url(handshake+"&sid="+sid), "text/plain", strings.NewReader("4hello"))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	before := debug.SetMemoryLimit(1 << 20) // less than lives
	defer debug.SetMemoryLimit(before)
	affinitytest.Eventually(t, "no session begins", func() bool { status, _ := fetch(t, r.url(handshake)); return status == 503 })
	for range 10 {
		if status := post(); status != 200 {
			t.Errorf("a session that lives gets %d", status)
		}
	}
	debug.SetMemoryLimit(before)
	affinitytest.Eventually(t, "sessions begin again", func() bool { status, _ := fetch(t, r.url(handshake)); return status == 200 })
}

// A cgroup's limit is Go's, but for what Go does not count, unless GOMEMLIMIT says otherwise.
func TestMemoryOfTheCgroup(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	files := fstest.MapFS{
		"proc/self/cgroup": {Data: []byte("0::/\n")}, "proc/self/mountinfo": {Data: []byte("25 30 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")},
		"sys/fs/cgroup/memory.max": {Data: []byte("2000000000\n")},
	}
	r := start(t, settings(engineiotest.Start(t, engineiotest.Options{})))
	if err := os.Unsetenv("GOMEMLIMIT"); err != nil {
		t.Fatal(err)
	}
	replica.LimitMemory(r.Replica, files)
	if limit := debug.SetMemoryLimit(-1); limit != 1_800_000_000 {
		t.Errorf("the limit is %d", limit)
	}
	t.Setenv("GOMEMLIMIT", "1GiB")
	debug.SetMemoryLimit(1 << 30)
	replica.LimitMemory(r.Replica, files)
	if limit := debug.SetMemoryLimit(-1); limit != 1<<30 {
		t.Errorf("over GOMEMLIMIT: %d", limit)
	}
}
