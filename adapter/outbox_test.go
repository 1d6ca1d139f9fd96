package adapter_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/sidway/sidway/adapter"
	"github.com/sidway/sidway/adapter/internal/group"
	"github.com/sidway/sidway/adapter/internal/redistest"
)

// scriptedRedis is a Redis that takes subscriptions, and answers what is published as a test says.
type scriptedRedis struct {
	net.Listener
	wg    group.Group
	reply func(n int) string // to the nth that is published; "" cuts the connection

	mu    sync.Mutex
	taken []int // the events that were answered by a number, and those behind which the connection was cut
	seen  int
	conns []net.Conn
}

func startScriptedRedis(t *testing.T, reply func(n int) string) *scriptedRedis {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scriptedRedis{Listener: ln, reply: reply}
	s.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, c)
			s.mu.Unlock()
			s.wg.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		s.mu.Lock()
		for _, c := range s.conns {
			_ = c.Close()
		}
		s.mu.Unlock()
		s.wg.Wait()
	})
	return s
}

func (s *scriptedRedis) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		args, err := readCommand(r)
		if err != nil {
			return
		}
		answer := "-ERR unknown command\r\n"
		switch name := strings.ToLower(args[0]); name {
		case "client":
			answer = "+OK\r\n"
		case "cluster": // slots: all of them are here
			host, port, _ := net.SplitHostPort(s.Addr().String())
			answer = fmt.Sprintf("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$%d\r\n%s\r\n:%s\r\n", len(host), host, port)
		case "ssubscribe", "sunsubscribe":
			answer = fmt.Sprintf("*3\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n:1\r\n", len(name), name, len(args[1]), args[1])
		case "spublish":
			if answer = s.published(args[2]); answer == "" {
				_ = c.(*net.TCPConn).CloseWrite()
				_, _ = io.Copy(io.Discard, r) // what is unread would take the answers so far along
				return
			}
		}
		if _, err := io.WriteString(c, answer); err != nil {
			return
		}
	}
}

// published takes an event, whose name is "e" and a digit.
func (s *scriptedRedis) published(payload string) string {
	i := strings.Index(payload, `["e`) + 3
	s.mu.Lock()
	n := s.seen
	s.seen++
	s.mu.Unlock()
	answer := s.reply(n)
	if !strings.HasPrefix(answer, "-") {
		s.mu.Lock()
		s.taken = append(s.taken, int(payload[i]-'0'))
		s.mu.Unlock()
	}
	return answer
}

func (s *scriptedRedis) took() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.taken)
}

func readCommand(r *bufio.Reader) ([]string, error) {
	number := func() (int, error) {
		line, err := r.ReadString('\n')
		if err != nil {
			return 0, err
		}
		return strconv.Atoi(strings.TrimSpace(line[1:]))
	}
	n, err := number()
	args := make([]string, n)
	for i := range args {
		size, err := number()
		if err != nil {
			return nil, err
		}
		b := make([]byte, size+2)
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, err
		}
		args[i] = string(b[:size])
	}
	return args, err
}

// TestPipelineInPart publishes some events at once, of which Redis takes a part: a script that keeps it busy ends, or the
// connection does. What was overtaken, or may have arrived, is not sent again.
func TestPipelineInPart(t *testing.T) {
	const busy, fine, cut = "-BUSY a script runs\r\n", ":1\r\n", ""
	for _, c := range []struct {
		name    string
		cluster bool
		replies []string // to the events 1 to 5, and then to what is sent again
		want    []int
		lost    float64
	}{
		{"busy", false, []string{busy, busy, fine, fine, busy}, []int{0, 3, 4, 5, 6}, 2},
		{"busy in a cluster", true, []string{busy, busy, fine, fine, busy}, []int{0, 3, 4, 5, 6}, 2},
		{"cut", false, []string{fine, cut}, []int{0, 1, 2, 6}, 5}, // go-redis forgets the answers in front of the cut
		{"cut in a cluster", true, []string{fine, cut}, []int{0, 1, 2, 6}, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			queued := make(chan struct{})
			s := startScriptedRedis(t, func(n int) string {
				if n == 0 {
					<-queued
				} else if n <= len(c.replies) {
					return c.replies[n-1]
				}
				return fine
			})
			opts := redis.UniversalOptions{Addrs: []string{s.Addr().String()}, IsClusterMode: c.cluster, Protocol: 2}
			rdb := redis.NewUniversalClient(&opts)
			t.Cleanup(func() { _ = rdb.Close() })
			metrics := adapter.NewMetrics()
			h := serveHere(t, adapter.Sharded(rdb, adapter.Options{Metrics: metrics, Logger: slog.New(slog.DiscardHandler)}))
			_ = h.io.Emit("e0")
			redistest.Eventually(t, "the first is under way", func() bool {
				s.mu.Lock()
				defer s.mu.Unlock()
				return s.seen == 1
			})
			for i := 1; i <= 5; i++ {
				_ = h.io.Emit(fmt.Sprint("e", i))
			}
			close(queued)
			redistest.Eventually(t, "all have had their turn", func() bool {
				sums := gather(t, metrics)
				return sums["sidway_adapter_published_total"]+sums["sidway_adapter_lost_total"] >= 6
			})
			_ = h.io.Emit("e6")
			redistest.Eventually(t, "the last", func() bool { return slices.Contains(s.took(), 6) })
			if lost := gather(t, metrics)["sidway_adapter_lost_total"]; !slices.Equal(s.took(), c.want) || lost != c.lost {
				t.Errorf("Redis took %v, lost %v; want %v and %v", s.took(), lost, c.want, c.lost)
			}
		})
	}
}
