package e2e_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sidway/sidway/affinity/affinitytest"
)

// Where a replica may open fewer descriptors than before, its live sessions go on and strangers are told so; when it may open
// more again, they are served within a second or so.
func TestLimitOfDescriptorsChanges(t *testing.T) {
	nodes := startNodes(t, pings{}, node48, node48)
	r := startReplica(t, affinitytest.StartRedis(t).URL(), nodes)
	driver := startClients(t, plan{URL: scheme + r.listen, Library: 4, Modes: busy, Window: 2})
	driver.connect(t)
	driver.begin(t, pace)
	driver.sent(t, 200)

	before := r.metric(t, "sidway_connections_limit")
	r.limitDescriptors(t, 1000) // some 40 places are left for POSTs beside the polls
	eventually(t, "fewer connections are allowed", func() bool { return r.metric(t, "sidway_connections_limit") < before })
	r.crowd(t)
	driver.sent(t, 500)
	r.limitDescriptors(t, 20000)
	r.servesStrangers(t)
	driver.finish(t).flaws(statsOf(t, nodes)).check(t)
	driver.leave(t)
}

// Where there is no descriptor left at all, strangers get an answer all the same.
func TestDescriptorsUsedUp(t *testing.T) {
	nodes := startNodes(t, pings{}, node48)
	r := startReplica(t, affinitytest.StartRedis(t).URL(), nodes)
	r.stranger(t)
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", r.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	r.limitDescriptors(t, uint64(len(open)))
	r.crowd(t)
	r.limitDescriptors(t, 20000)
	r.servesStrangers(t)
}

// Who gets the last descriptor keeps it, though its request comes later: accept wants another one for whoever is next, even if nobody is.
func TestLastDescriptorIsKept(t *testing.T) {
	r := startReplica(t, affinitytest.StartRedis(t).URL(), startNodes(t, pings{}, node48))
	r.stranger(t)
	before := r.metric(t, "sidway_connections_limit")
	defer r.limitDescriptors(t, 20000)
	eventually(t, "the limit is known", func() bool {
		r.leaveOneDescriptor(t)
		return r.metric(t, "sidway_connections_limit") < before
	})
	for range 4 { // on both loops, whichever is next
		r.leaveOneDescriptor(t)
		c, err := net.Dial("tcp", r.listen)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond) // in which nothing may happen
		if _, err := io.WriteString(c, "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: chat\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := c.Read(make([]byte, 100)); n == 0 {
			t.Errorf("no answer: %v", err)
		}
		c.Close()
	}
}

// leaveOneDescriptor lowers the limit, which is one of their numbers, so that a single one is free.
func (r *replica) leaveOneDescriptor(t *testing.T) {
	t.Helper()
	free := 0
	for n := uint64(0); ; n++ {
		if _, err := os.Lstat(fmt.Sprintf("/proc/%d/fd/%d", r.cmd.Process.Pid, n)); err == nil {
			continue
		}
		if free++; free == 2 {
			r.limitDescriptors(t, n)
			return
		}
	}
}

func (r *replica) limitDescriptors(t *testing.T, n uint64) {
	t.Helper()
	if err := unix.Prlimit(r.cmd.Process.Pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: 20000}, nil); err != nil {
		t.Fatal(err)
	}
}

// crowd brings strangers until ten of them were refused.
func (r *replica) crowd(t *testing.T) {
	t.Helper()
	refused := 0
	for n := 0; refused < 10; n++ {
		a := r.stranger(t)
		switch {
		case n == 500:
			t.Fatalf("of %d strangers only %d were refused", n, refused)
		case a.StatusCode == http.StatusServiceUnavailable && a.Header.Get("Retry-After") != "":
			refused++
		case a.StatusCode != http.StatusSwitchingProtocols:
			t.Fatalf("a stranger got %d", a.StatusCode)
		}
	}
}

func (r *replica) servesStrangers(t *testing.T) {
	t.Helper()
	began := time.Now()
	eventually(t, "strangers are served again", func() bool {
		return r.stranger(t).StatusCode == http.StatusSwitchingProtocols
	})
	t.Logf("served again after %v", time.Since(began))
}

// stranger makes a direct connect on a connection of its own, which it keeps.
func (r *replica) stranger(t *testing.T) *http.Response {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+r.listen+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: clientTLS}
	a, err := (&http.Client{Transport: transport}).Do(q)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Body.Close() })
	return a
}
