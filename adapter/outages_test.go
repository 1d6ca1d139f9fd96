package adapter_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"
	"github.com/sidway/sidway/adapter"
	"github.com/sidway/sidway/adapter/internal/redistest"
	"github.com/zishang520/socket.io/v2/socket"
)

// outagePairs are the pairs of servers that go through each outage together, so that a round is as many tries.
const (
	outagePairs = 8
	burstSize   = 400
)

// counting is a client of one server that checks that numbers come in order, and none twice, without keeping them.
type counting struct {
	last, count atomic.Int64
	wrong       atomic.Pointer[string]
}

func count(t *testing.T, h *here) *counting {
	t.Helper()
	conn := h.dialClosing(t)
	if _, _, err := conn.Read(t.Context()); err != nil { // connected
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &counting{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			_, b, err := conn.Read(ctx)
			if err != nil {
				return
			}
			if string(b) == "2" { // a ping
				_ = conn.Write(ctx, websocket.MessageText, []byte("3")) // its failure is the next Read's
			}
			text, ok := strings.CutPrefix(string(b), `42["n",`)
			if n, err := strconv.ParseInt(strings.TrimSuffix(text, "]"), 10, 64); ok && err == nil {
				if last := c.last.Swap(n); n <= last {
					wrong := fmt.Sprintf("%d behind %d", n, last)
					c.wrong.CompareAndSwap(nil, &wrong)
				}
				c.count.Add(1)
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		_ = conn.CloseNow()
		<-done
	})
	return c
}

// outagePair is two servers of a cluster, of which the first broadcasts and the second has a client.
type outagePair struct {
	from   *here
	client *counting
	next   int64
}

// emit broadcasts the next n numbers, to all and to a room in turn.
func (p *outagePair) emit(n int) {
	for range n {
		p.next++
		if p.next%2 == 0 {
			_ = p.from.io.Emit("n", p.next)
		} else {
			_ = p.from.io.To("room").Emit("n", p.next)
		}
	}
}

// TestOrderThroughOutages kills Redis in the middle of what servers broadcast, and starts it again: what reaches the
// other server is in order. SIDWAY_OUTAGES is the number of outages; with 25 there are 200 tries of each kind.
func TestOrderThroughOutages(t *testing.T) {
	outages := 3
	if n, err := strconv.Atoi(os.Getenv("SIDWAY_OUTAGES")); err == nil {
		outages = n
	}
	for _, kind := range []string{"pubsub", "sharded"} {
		t.Run(kind, func(t *testing.T) {
			redis := redistest.Start(t)
			rdb := redisClient(t, redis.Port())
			metrics := adapter.NewMetrics()
			pairs := make([]*outagePair, outagePairs)
			for i := range pairs {
				a, b := two(t, constructors(rdb, adapter.Options{
					Prefix: fmt.Sprint("pair", i), Metrics: metrics, Logger: slog.New(slog.DiscardHandler),
				})[kind])
				_ = b.io.On("connection", func(args ...any) { args[0].(*socket.Socket).Join("room") })
				pairs[i] = &outagePair{from: a, client: count(t, b)}
			}
			for round := range outages {
				before := pairs[round%outagePairs].client.count.Load()
				for _, p := range pairs {
					p.emit(burstSize)
				}
				redistest.Eventually(t, "part of it is received", func() bool {
					return pairs[round%outagePairs].client.count.Load() > before+int64(round*61%burstSize)/2
				})
				redis.Restart()
				for i, p := range pairs {
					first := p.next + 1
					redistest.Eventually(t, "received again", func() bool {
						p.emit(1)
						return p.client.last.Load() >= first
					})
					if wrong := p.client.wrong.Load(); wrong != nil {
						t.Fatalf("pair %d received %s", i, *wrong)
					}
				}
			}
			sums := gather(t, metrics)
			t.Logf("%d tries, %.0f messages published, %.0f lost", outages*outagePairs,
				sums["sidway_adapter_published_total"], sums["sidway_adapter_lost_total"])
		})
	}
}
