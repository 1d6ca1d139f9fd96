package affinity_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
)

func TestRedisWithPassword(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t, "--requirepass", "p@ss/w:rd")
	with := func(userinfo string) *affinity.Redis {
		return affinity.NewRedis(open(t, "redis://"+userinfo+server.Addr()), "p:")
	}
	for _, userinfo := range []string{":p%40ss%2Fw:rd@", "default:p%40ss%2Fw%3Ard@"} {
		roundTrip(t, with(userinfo))
	}
	for _, userinfo := range []string{"", ":wrong@"} {
		for op, do := range operations(with(userinfo)) {
			if err := do(t.Context()); op != "Unbind" && !errors.Is(err, affinity.ErrUnavailable) || err != nil && strings.Contains(err.Error(), "wrong") {
				t.Errorf("%q: %s = %v", userinfo, op, err)
			}
		}
	}
}

func TestRedisWithTLS(t *testing.T) {
	t.Parallel()
	server, ca := affinitytest.StartRedisTLS(t, "--requirepass", "secret")
	roundTrip(t, affinity.NewRedis(open(t, "rediss://:secret@"+server.Addr()+"/2?ca="+ca), "p:"))
	for _, url := range []string{"rediss://:secret@" + server.Addr(), "redis://:secret@" + server.Addr()} {
		if _, err := affinity.NewRedis(open(t, url), "p:").Lookup(t.Context(), "sid"); !errors.Is(err, affinity.ErrUnavailable) {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestRedisCluster(t *testing.T) {
	t.Parallel()
	nodes := affinitytest.StartCluster(t, 3)
	s := affinity.NewRedis(open(t, "redis+cluster://"+affinitytest.Addrs(nodes[:1])), "p:")
	eventuallyBind(t, s, "first")
	for i := range 100 {
		sid := fmt.Sprint("sid", i)
		eventuallyBind(t, s, sid)
		lookUp(t, s, sid)
	}
	probe(t, s, true)
	probe(t, s, true)
	for _, node := range nodes {
		if node.Calls("set") == 0 {
			t.Error("a node of the Cluster has no binding")
		}
	}
	nodes[2].Do("FLUSHALL")
	probe(t, s, false)
	probe(t, s, true)
	nodes[1].Kill()
	affinitytest.Eventually(t, "a Probe that misses a node", func() bool {
		_, err := s.Probe(t.Context())
		return errors.Is(err, affinity.ErrUnavailable)
	})
}

func TestRedisBehindSentinelFailsOver(t *testing.T) {
	t.Parallel()
	master := affinitytest.StartRedis(t)
	affinitytest.StartReplica(t, master)
	sentinels := affinitytest.StartSentinels(t, master, "main", 3)
	s := affinity.NewRedis(open(t, "redis+sentinel://"+affinitytest.Addrs(sentinels)+"/main/0"), "p:")
	eventuallyBind(t, s, "before")
	if n := master.Do("WAIT", 1, 5000); n != "1" {
		t.Fatalf("%s replicas have the binding", n)
	}
	probe(t, s, true)
	master.Kill()
	eventuallyBind(t, s, "after")
	lookUp(t, s, "before")
}

// Each operation ends soon where Redis is silent, where nothing listens, where packets go nowhere, and where our own
// connections are all in use. The bound is far above 100 ms because the machine may be busy, and far below what the
// client library would wait by itself: 5 s, four times.
func TestRedisOperationsEndSoon(t *testing.T) {
	t.Parallel()
	const soon = 4 * time.Second
	silent := affinitytest.StartRedis(t)
	warm := affinity.NewRedis(open(t, silent.URL()), "p:")
	roundTrip(t, warm)
	silent.Pause()
	gone := affinitytest.StartRedis(t)
	gone.Kill()
	for name, s := range map[string]*affinity.Redis{
		"silent, connected": warm,
		"silent, dialing":   affinity.NewRedis(open(t, silent.URL()), "p:"),
		"silent, TLS":       affinity.NewRedis(open(t, "rediss://"+silent.Addr()), "p:"),
		"silent, Sentinel":  affinity.NewRedis(open(t, "redis+sentinel://"+silent.Addr()+"/main"), "p:"),
		"silent, Cluster":   affinity.NewRedis(open(t, "redis+cluster://"+silent.Addr()), "p:"),
		"gone":              affinity.NewRedis(open(t, gone.URL()), "p:"),
		"gone, Sentinel":    affinity.NewRedis(open(t, "redis+sentinel://"+gone.Addr()+"/main"), "p:"),
		"gone, Cluster":     affinity.NewRedis(open(t, "redis+cluster://"+gone.Addr()), "p:"),
		"full backlog":      affinity.NewRedis(open(t, "redis://"+fullBacklog(t)), "p:"),
	} {
		for op, do := range operations(s) {
			began := time.Now()
			err := do(t.Context())
			if took := time.Since(began); took > soon {
				t.Errorf("%s: %s took %v", name, op, took)
			}
			if !errors.Is(err, affinity.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %s = %v", name, op, err)
			}
		}
	}
	silent.Resume()
	roundTrip(t, warm)
}

// A caller that leaves while Redis is silent gets its own error at once, those that stay get the store's.
func TestRedisTellsWhoseFaultItIs(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	s := affinity.NewRedis(open(t, server.URL()), "p:")
	roundTrip(t, s)
	server.Pause()
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error)
		go func() {
			_, err := s.Lookup(ctx, "sid")
			left <- err
		}()
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) || errors.Is(err, affinity.ErrUnavailable) {
			t.Errorf("a caller that left: %v", err)
		}
	}
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() {
			if _, err := s.Lookup(t.Context(), "sid"); !errors.Is(err, affinity.ErrUnavailable) {
				t.Errorf("a caller that stayed: %v", err)
			}
		})
	}
	wg.Wait()
}

// Many operations at once share round trips.
func TestRedisBatches(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	a, b := newReplica(t, server.URL()), newReplica(t, server.URL())
	const n = 3000
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			sid := fmt.Sprint("sid", i)
			if err := a.Bind(t.Context(), sid, affinitytest.Example); unlike(err) {
				t.Errorf("Bind: %v", err)
			}
		})
	}
	wg.Wait()
	a.settle(t)
	for i := range n {
		wg.Go(func() {
			if _, err := b.hold(t.Context(), fmt.Sprint("sid", i)); err != nil {
				t.Errorf("Lookup: %v", err)
			}
		})
	}
	wg.Wait()
}

func TestRedisThatRefusesWritesStillAnswers(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	s := affinity.NewRedis(open(t, server.URL()), "p:")
	roundTrip(t, s)
	other := affinitytest.StartRedis(t)
	for name, refuse := range map[string]func(){
		"NOREPLICAS": func() { server.Do("CONFIG", "SET", "min-replicas-to-write", "1") },
		"OOM":        func() { server.Do("CONFIG", "SET", "min-replicas-to-write", "0", "maxmemory", "1") },
		"READONLY": func() {
			server.Do("CONFIG", "SET", "maxmemory", "0")
			server.Do("REPLICAOF", "127.0.0.1", other.Port())
			other.Kill() // so that the data stays
		},
	} {
		refuse()
		for _, op := range []string{"Bind", "BindAll", "Probe"} {
			affinitytest.Eventually(t, name+": a refused "+op, func() bool { // on a busy machine one may come too late
				err := operations(s)[op](t.Context())
				if err == nil {
					t.Fatalf("%s: %s was not refused", name, op)
				}
				return errors.Is(err, affinity.ErrReadOnly)
			})
		}
		if name != "READONLY" {
			lookUp(t, s, "sid")
		}
		server.Do("CONFIG", "SET", "min-replicas-to-write", "0", "maxmemory", "0")
		server.Do("REPLICAOF", "NO", "ONE")
		server.Do("SET", "p:sid", "1 4 25000 20000 1000000 n1", "EX", 60)
	}
}

func TestRedisProbeSeesLoss(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	s := affinity.NewRedis(open(t, server.URL()), "p:")
	other := affinity.NewRedis(open(t, server.URL()), "p:")
	probe(t, s, true)
	probe(t, s, true)
	server.Do("SAVE")
	probe(t, s, true)
	probe(t, s, true)
	probe(t, other, true)
	server.Restart() // from the older copy
	affinitytest.Eventually(t, "a Probe after the restart", func() bool {
		intact, err := s.Probe(t.Context())
		if err == nil && intact {
			t.Fatal("the loss of two Probes went unseen")
		}
		return err == nil
	})
	probe(t, s, true)
	server.Do("FLUSHALL")
	probe(t, s, false)
	probe(t, s, true)
}

func TestRedisIgnoresWhatItCannotRead(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	s := affinity.NewRedis(open(t, server.URL()), "p:")
	for _, value := range []string{"", strings.Repeat("1", 1<<20), "3 4 1 1 1 n1", "1 4 25000 20000 n1", "1 4 x 1 1 n1", "1 4 1 1 1 ", "1 4 1 1 1 %zz", "1 4 99999999999 1 1 n1", "1 4 1 1 1 n1 end=soon"} {
		server.Do("SET", "p:sid", value, "EX", 60)
		b, err := s.Lookup(t.Context(), "sid")
		for errors.Is(err, affinity.ErrUnavailable) { // a busy machine answers late
			b, err = s.Lookup(t.Context(), "sid")
		}
		if !errors.Is(err, affinity.ErrNotFound) {
			t.Errorf("%.40q = %+v, %v", value, b, err)
		}
	}
	server.Do("SET", "p:sid", "1 4 25000 20000 1000000 n1 later fields")
	_, err := s.Lookup(t.Context(), "sid")
	for errors.Is(err, affinity.ErrUnavailable) {
		_, err = s.Lookup(t.Context(), "sid")
	}
	if !errors.Is(err, affinity.ErrNotFound) {
		t.Errorf("a value that never expires is not ours: %v", err)
	}
	server.Do("SET", "p:sid", "1 4 25000 20000 1000000 n1 later fields", "EX", 60)
	lookUp(t, s, "sid")
}

// A key of the wrong type is one session's trouble, not an outage, and ends with its next Bind.
func TestRedisKeyOfTheWrongType(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	a := newReplica(t, server.URL())
	eventuallyBind(t, a, "other")
	a.settle(t)
	server.Do("HSET", "sidway:chat:sid", "field", "value")
	server.Do("EXPIRE", "sidway:chat:sid", 60)
	if b, err := a.hold(t.Context(), "sid"); !errors.Is(err, affinity.ErrNotFound) {
		t.Errorf("%+v, %v", b, err)
	}
	if n := a.outcomes.of(affinity.Broken); n != 1 {
		t.Errorf("counted %d times", n)
	}
	eventuallyBind(t, a, "sid")
	lookUp(t, newReplica(t, server.URL()), "sid")
	server.Do("LPUSH", "sidway:chat:sid2", "value")
	if err := a.Unbind(t.Context(), "sid2"); unlike(err) {
		t.Error(err)
	}
}

func operations(s affinity.Store) map[string]func(context.Context) error {
	ops := map[string]func(context.Context) error{
		"Bind":   func(ctx context.Context) error { return s.Bind(ctx, "sid", affinitytest.Example) },
		"Lookup": func(ctx context.Context) error { _, err := s.Lookup(ctx, "sid"); return err },
		"Unbind": func(ctx context.Context) error { return s.Unbind(ctx, "sid") },
	}
	if b, ok := s.(affinity.Back); ok {
		ops["Probe"] = func(ctx context.Context) error { _, err := b.Probe(ctx); return err }
		ops["Renew"] = func(ctx context.Context) error { _, err := b.Renew(ctx, "sid", time.Minute); return err }
		ops["BindAll"] = func(ctx context.Context) error {
			_, err := b.BindAll(ctx, []affinity.Entry{{SID: "sid", Binding: affinitytest.Example}})
			return err
		}
	}
	return ops
}

func roundTrip(t *testing.T, s affinity.Store) {
	t.Helper()
	eventuallyBind(t, s, "sid")
	lookUp(t, s, "sid")
}

func lookUp(t *testing.T, s affinity.Store, sid string) (b affinity.Binding) {
	t.Helper()
	affinitytest.Eventually(t, "a Lookup of "+sid, func() bool {
		var err error
		b, err = s.Lookup(t.Context(), sid)
		return err == nil
	})
	return b
}

// eventuallyBind binds sid as often as it takes: the first operation of a client may need longer than it is given for
// a dial with its greetings.
func eventuallyBind(t *testing.T, s affinity.Store, sid string) {
	t.Helper()
	var last error
	affinitytest.Eventually(t, fmt.Sprintf("a Bind of %s", sid), func() bool {
		last = s.Bind(t.Context(), sid, affinitytest.Example)
		return last == nil
	})
}

// probe repeats a Probe that missed its time limit, as a busy machine may make it.
func probe(t *testing.T, s *affinity.Redis, want bool) {
	t.Helper()
	affinitytest.Eventually(t, "a Probe", func() bool {
		intact, err := s.Probe(t.Context())
		if err == nil && intact != want {
			t.Fatalf("Probe = %v, want %v", intact, want)
		}
		return err == nil
	})
}

// fullBacklog returns an address whose kernel answers no further connection.
func fullBacklog(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(name.(*unix.SockaddrInet4).Port))
	for {
		conn, err := net.DialTimeout("tcp", addr, 200*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
}
