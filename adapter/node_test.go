package adapter_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/sidway/sidway/adapter"
	"github.com/sidway/sidway/adapter/internal/group"
	"github.com/sidway/sidway/adapter/internal/redistest"
	"github.com/zishang520/engine.io/v2/events"
	"github.com/zishang520/socket.io-go-parser/v2/parser"
	"github.com/zishang520/socket.io/v2/socket"
)

// TestConcurrent broadcasts from several goroutines of two servers while sockets join and leave: each publisher's order
// holds, nothing is lost or doubled. With -race it watches the adapter itself.
func TestConcurrent(t *testing.T) {
	redis := redistest.Start(t)
	for kind, make := range constructors(redisClient(t, redis.Port()), adapter.Options{}) {
		t.Run(kind, func(t *testing.T) {
			a, b := two(t, make)
			listeners := []*listener{a.dial(t), a.dial(t), b.dial(t), b.dial(t)}
			var wg group.Group
			for p, h := range []*here{a, a, b, b} {
				wg.Go(func() {
					for i := range 100 {
						_ = h.io.Emit(fmt.Sprintf("p%d", p), i)
						h.io.Local().SocketsJoin(socket.Room(fmt.Sprint("room", i%3)))
						h.io.To("room1").Local().SocketsLeave(socket.Room(fmt.Sprint("room", (i+1)%3)))
					}
				})
			}
			wg.Wait()
			for _, l := range listeners {
				for p := range 4 {
					prefix := fmt.Sprintf(`42["p%d"`, p)
					for i, got := range l.await(t, prefix, 100) {
						if want := fmt.Sprintf(`42["p%d",%d]`, p, i); got != want {
							t.Fatalf("%s, want %s", got, want)
						}
					}
				}
			}
		})
	}
}

// TestOrderHere sends events faster than their handlers finish.
func TestOrderHere(t *testing.T) {
	h := serveHere(t, nil)
	var mu sync.Mutex
	var order []any
	_ = h.io.On("connection", func(args ...any) {
		s := args[0].(*socket.Socket)
		s.Use(func(event []any, next func(error)) {
			if event[0] == "refused" {
				next(errors.New("no"))
				return
			}
			next(nil)
		})
		_ = s.On("n", func(args ...any) {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, args[0])
		})
		_ = s.On("wait", func(...any) { // for an acknowledgement that is still to be read
			done := make(chan struct{})
			s.EmitWithAck("ask")(func([]any, error) { close(done) })
			<-done
		})
	})
	l := h.dial(t)
	const n = 300
	for i := range n {
		switch i {
		case 50:
			l.send(t, `42["refused"]`)
		case 100:
			l.send(t, `42["wait"]`)
		case 150:
			q := l.await(t, "42", 1)[0]
			l.send(t, "43"+strings.TrimSuffix(strings.TrimPrefix(q, "42"), `["ask"]`)+"[]")
		}
		l.send(t, fmt.Sprintf(`42["n",%d]`, i))
	}
	redistest.Eventually(t, "all events", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(order) == n
	})
	for i, v := range order {
		if v != float64(i) {
			t.Fatalf("event %v came as number %d", v, i)
		}
	}
}

// TestForeignAdapter hardens a server whose adapter knows nothing of it.
func TestForeignAdapter(t *testing.T) {
	h := serveHere(t, &socket.AdapterBuilder{})
	_ = h.io.On("connection", func(args ...any) {
		s := args[0].(*socket.Socket)
		_ = s.On("echo", func(args ...any) { _ = s.Emit("echoed", args...) })
	})
	l := h.dial(t)
	redistest.Eventually(t, "an answer", func() bool { // the library may lose the first, before the handler listens
		l.send(t, `42["echo",1]`)
		return len(l.with(`42["echoed",1]`)) > 0
	})
}

// TestGhost closes a connection at the one moment at which the library forgets its socket.
func TestGhost(t *testing.T) {
	metrics := adapter.NewMetrics()
	redis := redistest.Start(t)
	h := serveHere(t, adapter.PubSub(redisClient(t, redis.Port()), adapter.Options{Metrics: metrics}))
	nsp := h.io.Sockets()
	_ = nsp.Adapter().On("join-room", events.Listener(func(args ...any) {
		if s, ok := nsp.Sockets().Load(args[1].(socket.SocketId)); ok {
			s.Conn().Close(true)
		}
	}))
	gone := make(chan any, 1)
	_ = h.io.On("connection", func(args ...any) {
		_ = args[0].(*socket.Socket).On("disconnect", func(args ...any) { gone <- args[0] })
	})
	l := h.dialClosing(t)
	defer func() { _ = l.CloseNow() }()
	redistest.Eventually(t, "a ghost", func() bool { return nsp.Sockets().Len() == 1 })
	redistest.Eventually(t, "its end", func() bool { return nsp.Sockets().Len() == 0 && nsp.Adapter().Sids().Len() == 0 })
	<-gone
	if n := gather(t, metrics)["sidway_adapter_ghosts_total"]; n != 1 {
		t.Errorf("%v ghosts counted", n)
	}
}

// TestAcknowledgements talks to the adapter beneath the library's own bookkeeping, which races with itself.
func TestAcknowledgements(t *testing.T) {
	redis := redistest.Start(t)
	for kind, make := range constructors(redisClient(t, redis.Port()), adapter.Options{}) {
		t.Run(kind, func(t *testing.T) {
			a, b := two(t, make)
			la, lb := a.dial(t), b.dial(t)
			counts, answers := make2[uint64](), make2[any]()
			timeout := 3 * time.Second
			flags := &socket.BroadcastFlags{Timeout: &timeout}
			a.io.Sockets().Adapter().BroadcastWithAck(
				&parser.Packet{Type: parser.EVENT, Data: []any{"ask", "x"}},
				&socket.BroadcastOptions{Flags: flags},
				func(n uint64) { counts <- n },
				func(v []any, _ error) { answers <- v[0] },
			)
			for name, l := range map[string]*listener{"a": la, "b": lb} {
				q := l.await(t, "42", 1)[0]
				id := strings.TrimSuffix(strings.TrimPrefix(q, "42"), `["ask","x"]`)
				l.send(t, fmt.Sprintf(`43%s[%q]`, id, name))
			}
			if n := <-counts + <-counts; n != 2 {
				t.Errorf("%d clients", n)
			}
			if got := fmt.Sprint(<-answers, <-answers); got != "ab" && got != "ba" {
				t.Errorf("answers %s", got)
			}
		})
	}
}

func make2[T any]() chan T { return make(chan T, 8) }

// TestMissingAnswer asks two servers of which one does not answer, since it is nothing but a subscription.
func TestMissingAnswer(t *testing.T) {
	redis := redistest.Start(t)
	rdb := redisClient(t, redis.Port())
	metrics := adapter.NewMetrics()
	h := serveHere(t, adapter.PubSub(rdb, adapter.Options{RequestTimeout: 200 * time.Millisecond, Metrics: metrics}))
	mute := rdb.Subscribe(t.Context(), "socket.io-request#/#")
	defer mute.Close()
	redistest.Eventually(t, "two subscriptions", func() bool { return h.io.Sockets().Adapter().ServerCount() == 2 })
	l := h.dial(t)
	h.io.FetchSockets()(func(sockets []*socket.RemoteSocket, err error) {
		var late *adapter.TimeoutError
		if !errors.As(err, &late) || late.Got != 0 || late.Want != 1 || len(sockets) != 1 || string(sockets[0].Id()) != l.id {
			t.Errorf("%d sockets, %v", len(sockets), err)
		}
	})
	if rooms, err := adapter.AllRooms(h.io.Sockets()); err == nil || len(rooms) != 1 {
		t.Errorf("rooms %v, %v", rooms, err)
	}
	done := make(chan error, 1)
	_ = h.io.ServerSideEmit("x", socket.Ack(func(_ []any, err error) { done <- err }))
	if err := <-done; err == nil {
		t.Error("no error without an answer")
	}
	if n := gather(t, metrics)["sidway_adapter_request_timeouts_total"]; n != 3 {
		t.Errorf("%v time-outs counted", n)
	}
}

// TestBrokenMessages publishes what makes no sense, and then what does.
func TestBrokenMessages(t *testing.T) {
	redis := redistest.Start(t)
	rdb := redisClient(t, redis.Port())
	metrics := adapter.NewMetrics()
	h := serveHere(t, adapter.PubSub(rdb, adapter.Options{Metrics: metrics, MaxMessage: 1000}))
	l := h.dial(t)
	broken := 0
	for channel, list := range map[string][]string{
		"socket.io#/#":          {"", "x", "\x93\xa1u\xc0\xc0", "\x90", "\xdd\xff\xff\xff\xff", "{}"},
		"socket.io-request#/#":  {"", "{", "{}", `{"type":99}`, `{"type":2}`, `{"type":4}`, `{"type":5}`, `{"type":6,"data":[]}`, `{"type":6,"data":["connection"]}`, `{"type":7,"requestId":"r","opts":{}}`, "\xc1"},
		"socket.io-response#/#": {"", "{}", `{"requestId":"r","type":8}`, `{"requestId":"r","type":8,"clientCount":-1}`},
	} {
		for _, payload := range list {
			broken++
			if err := rdb.Publish(t.Context(), channel, payload).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := rdb.Publish(t.Context(), "socket.io#/#", strings.Repeat("x", 1001)).Err(); err != nil {
		t.Fatal(err)
	}
	if err := adapter.NewEmitter(rdb, adapter.Options{}).Emit(t.Context(), "fine", 1); err != nil {
		t.Fatal(err)
	}
	l.await(t, `42["fine",1]`, 1)
	got := gather(t, metrics)
	if got["sidway_adapter_decode_errors_total"] != float64(broken) || got["sidway_adapter_lost_total"] != 1 {
		t.Errorf("%d broken messages, counted %v", broken, got)
	}
}

// TestClose opens and closes servers, with Redis there, stopped and gone. goleak sees at the end whether anything stays;
// the connections are asked here.
func TestClose(t *testing.T) {
	for _, how := range []string{"there", "stopped", "gone"} {
		t.Run(how, func(t *testing.T) {
			server := redistest.Start(t)
			rdb := redisClient(t, server.Port())
			for kind, make := range constructors(rdb, adapter.Options{}) {
				a, b := two(t, make)
				l := a.dial(t)
				_ = b.io.Emit("before", kind)
				l.await(t, `42["before"`, 1)
				switch how {
				case "stopped":
					server.Pause()
				case "gone":
					server.Kill()
				}
				_ = a.io.Emit("while", kind)
				began := time.Now()
				a.close()
				b.close()
				a.close()
				t.Logf("%s closed in %v", kind, time.Since(began).Round(time.Millisecond))
				switch how {
				case "stopped":
					server.Resume()
				case "gone":
					server.Restart()
				}
			}
			redistest.Eventually(t, "no connection but the test's", func() bool {
				list, err := rdb.ClientList(t.Context()).Result()
				return err == nil && strings.Count(list, "\n") <= 1
			})
		})
	}
}

// TestMetrics registers the collector beside another one and counts a broadcast.
func TestMetrics(t *testing.T) {
	redis := redistest.Start(t)
	metrics := adapter.NewMetrics()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(metrics)
	a, b := two(t, func() socket.AdapterConstructor {
		return adapter.PubSub(redisClient(t, redis.Port()), adapter.Options{Metrics: metrics})
	})
	l := b.dial(t)
	_ = a.io.Emit("x")
	l.await(t, `42["x"]`, 1)
	redistest.Eventually(t, "counted", func() bool {
		got := gather(t, metrics)
		return got["sidway_adapter_published_total"] == 1 && got["sidway_adapter_received_total"] == 1 &&
			got["sidway_adapter_connected"] == 2 && got["sidway_adapter_queued_messages"] == 0
	})
	if families, err := registry.Gather(); err != nil || len(families) < 6 {
		t.Errorf("%d families, %v", len(families), err)
	}
}

// TestOverflow keeps fewer messages than are sent while Redis is away, and counts the rest as lost.
func TestOverflow(t *testing.T) {
	for kind, make := range map[string]func(redis.UniversalClient, adapter.Options) socket.AdapterConstructor{
		"pubsub": adapter.PubSub, "streams": adapter.Streams,
	} {
		t.Run(kind, func(t *testing.T) {
			server := redistest.Start(t)
			metrics := adapter.NewMetrics()
			h := serveHere(t, make(redisClient(t, server.Port()), adapter.Options{Queue: 5, Metrics: metrics}))
			l := h.dial(t)
			_ = h.io.Emit("before")
			l.await(t, `42["before"`, 1)
			redistest.Eventually(t, "published", func() bool { return gather(t, metrics)["sidway_adapter_published_total"] > 0 })
			server.Kill()
			_ = h.io.Emit("first") // under way when the rest comes: kept or, where its fate is unknown, lost
			redistest.Eventually(t, "the queue is empty", func() bool { return gather(t, metrics)["sidway_adapter_queued_messages"] == 0 })
			for i := range 200 {
				_ = h.io.Emit("n", i)
			}
			l.await(t, `42["n"`, 200)
			if lost := gather(t, metrics)["sidway_adapter_lost_total"]; lost < 60 || lost > 201 {
				t.Errorf("%v messages counted as lost", lost)
			}
		})
	}
}

// gather sums the samples of each metric.
func gather(t *testing.T, m *adapter.Metrics) map[string]float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(m)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]float64{}
	for _, f := range families {
		for _, s := range f.GetMetric() {
			sums[f.GetName()] += s.GetCounter().GetValue() + s.GetGauge().GetValue()
		}
	}
	return sums
}

// TestTopologies runs the adapters on a Redis Cluster, where sharded channels live on several masters, and behind
// Sentinel.
func TestTopologies(t *testing.T) {
	servers := redistest.StartCluster(t)
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: redistest.Addrs(servers)})
	t.Cleanup(func() { _ = cluster.Close() })
	master := redistest.Start(t)
	redistest.StartReplica(t, master)
	sentinels := redistest.StartSentinels(t, master, "m")
	failover := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: "m", SentinelAddrs: redistest.Addrs(sentinels),
	})
	t.Cleanup(func() { _ = failover.Close() })
	for name, rdb := range map[string]redis.UniversalClient{"cluster": cluster, "sentinel": failover} {
		for kind, make := range constructors(rdb, adapter.Options{}) {
			t.Run(name+"/"+kind, func(t *testing.T) {
				a, b := two(t, make)
				la, lb := a.dial(t), b.dial(t)
				for i := range 10 { // in as many slots
					room := socket.Room(fmt.Sprint("room", i))
					b.io.Local().SocketsJoin(room)
					redistest.Eventually(t, "a broadcast to the room", func() bool {
						_ = a.io.To(room).Emit("to", i)
						return len(lb.with(fmt.Sprintf(`42["to",%d]`, i))) > 0
					})
				}
				_ = b.io.Emit("back")
				la.await(t, `42["back"]`, 1)
				a.io.FetchSockets()(func(list []*socket.RemoteSocket, err error) {
					if err != nil || len(list) != 2 {
						t.Errorf("%d sockets, %v", len(list), err)
					}
				})
			})
		}
	}
}
