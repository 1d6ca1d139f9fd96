package affinity_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
)

// detour leads to a Redis each of whose answers takes a while longer.
func detour(t *testing.T, to string, delay time.Duration) (url string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	lead := func(client, server net.Conn) {
		defer client.Close()
		defer server.Close()
		work.Go(func() {
			_, _ = io.Copy(server, client)
			server.Close()
		})
		b := make([]byte, 64<<10)
		for {
			n, err := server.Read(b)
			if err != nil {
				return
			}
			time.Sleep(delay)
			if _, err := client.Write(b[:n]); err != nil {
				return
			}
		}
	}
	work.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				client.Close()
				continue
			}
			mu.Lock()
			conns = append(conns, client, server)
			mu.Unlock()
			work.Go(func() { lead(client, server) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		work.Wait()
	})
	return "redis://" + l.Addr().String()
}

// A Redis whose answers take 60 ms is not down: what has to greet it first, or asks it twice, has the time for that.
func TestASlowRedisIsUp(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	r := newReplica(t, detour(t, server.Addr(), 60*time.Millisecond))
	affinitytest.Eventually(t, "it is ready", func() bool { return r.Ready() == nil })
	well := time.Now() // since when; a busy machine may come late now and then, as any
	affinitytest.Eventually(t, "it is up for some beats", func() bool {
		if r.Fault() != nil {
			well = time.Now()
		}
		return time.Since(well) > 3*time.Second
	})
	server.Kill()
	affinitytest.Eventually(t, "it is down", func() bool { return r.Fault() != nil })
	server.Restart()
	affinitytest.Eventually(t, "it is used again", func() bool { return r.State() == affinity.Up })
}

// A Redis whose answers come too late is told from one that answers nothing, and from one that cannot be connected to.
func TestASlowRedisIsToldFromOneThatHangs(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	hangs, slow := newReplica(t, server.URL()), newReplica(t, detour(t, server.Addr(), 250*time.Millisecond))
	affinitytest.Eventually(t, "one is ready", func() bool { return hangs.Ready() == nil })
	affinitytest.Eventually(t, "one is slow", func() bool {
		return errors.Is(slow.Fault(), affinity.ErrSlow) && strings.Contains(slow.Fault().Error(), "not within 100ms: a PING took 2")
	})
	server.Pause()
	affinitytest.Eventually(t, "one hangs", func() bool {
		return errors.Is(hangs.Fault(), affinity.ErrHangs) && errors.Is(hangs.Fault(), affinity.ErrLate)
	})
	server.Resume()
	affinitytest.Eventually(t, "one is used again", func() bool { return hangs.State() == affinity.Up })
	server.Kill()
	affinitytest.Eventually(t, "one is refused", func() bool { return strings.Contains(fmt.Sprint(hangs.Fault()), "connection refused") })
}

// hungUp is a connection whose other end has said something and gone.
type hungUp struct {
	net.Conn
	said io.Reader
}

func (c hungUp) Write([]byte) (int, error)       { return 0, io.ErrClosedPipe }
func (c hungUp) Read(b []byte) (int, error)      { return c.said.Read(b) }
func (c hungUp) SetReadDeadline(time.Time) error { return nil }

// What Redis says before it hangs up on a new connection is told, though it is the write that fails.
func TestLastWords(t *testing.T) {
	for said, want := range map[string]string{
		"-ERR max number of clients reached\r\n": "ERR max number of clients reached",
		"":                                       io.ErrClosedPipe.Error(),
		"-ERR something else\r\n":                io.ErrClosedPipe.Error(),
		"+OK\r\n":                                io.ErrClosedPipe.Error(),
	} {
		if _, err := affinity.Bounded(hungUp{said: strings.NewReader(said)}).Write([]byte("x")); err == nil || err.Error() != want {
			t.Errorf("after %q: %v", said, err)
		}
	}
}

// A Redis that has too many clients is named as such.
func TestTooManyClients(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	client := open(t, server.URL()).(*redis.Client)
	holder := client.Conn() // the one client that there may be
	defer holder.Close()
	allow := func(n string) {
		if err := holder.ConfigSet(t.Context(), "maxclients", n).Err(); err != nil {
			t.Fatal(err)
		}
	}
	allow("1")
	r := newReplica(t, server.URL())
	affinitytest.Eventually(t, "the cause is told", func() bool {
		err := r.Fault()
		return err != nil && strings.Contains(err.Error(), "max number of clients reached; raise its maxclients")
	})
	allow("100")
	affinitytest.Eventually(t, "it is ready", func() bool { return r.Ready() == nil })
}
