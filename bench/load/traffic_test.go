//go:build linux

package load_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/sidway/sidway/bench/load"
	"github.com/sidway/sidway/bench/node"
)

func TestOrdinaryTraffic(t *testing.T) {
	for name, c := range map[string]struct {
		job  load.Job
		seen func(node.Stats) int64
	}{
		"cookies":    {load.Job{Kind: load.Poll, Cookies: 1600}, func(s node.Stats) int64 { return s.Polls }},
		"split poll": {load.Job{Kind: load.Poll, Cookies: 1600, Split: 0.5}, func(s node.Stats) int64 { return s.Polls }},
		"split POST": {load.Job{Kind: load.Post, Size: 100, Split: 1}, func(s node.Stats) int64 { return s.Posts }},
		"page":       {load.Job{Kind: load.Page}, func(s node.Stats) int64 { return s.Pages }},
		"preflight":  {load.Job{Kind: load.Preflight}, func(s node.Stats) int64 { return s.Preflights }},
		"unknown":    {load.Job{Kind: load.Unknown}, func(s node.Stats) int64 { return s.Unknown }},
		"malformed":  {load.Job{Kind: load.Malformed}, func(s node.Stats) int64 { return s.Refused }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes := startNodes(t, 2)
			c.job.Addr, c.job.Conns, c.job.Seconds, c.job.Warmup = nodes.addrs[1], 8, 0.15, 0.02
			r := run(t, c.job, nil, nil)
			if seen := c.seen(nodes.stats(t)); r.Ops == 0 || r.Errors != 0 || r.Foreign != 0 || r.Open != 8 || seen < r.Ops {
				t.Errorf("%+v; the node saw %d", r, seen)
			}
		})
	}
}

// segments serves polls as a node does and counts the requests that came in two reads, with the sids that it was asked for.
type segments struct {
	mu    sync.Mutex
	whole int
	split int
	heads []string
}

func (s *segments) serve(c net.Conn) {
	defer c.Close()
	var head []byte
	b := make([]byte, 64<<10)
	for reads := 1; ; reads++ {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		head = append(head, b[:n]...)
		if !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
			continue
		}
		body := "4"
		if !bytes.Contains(head, []byte("sid=")) {
			body = openPacket
		} else {
			s.mu.Lock()
			if s.heads = append(s.heads, string(head)); reads > 1 {
				s.split++
			} else {
				s.whole++
			}
			s.mu.Unlock()
		}
		if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"+body); err != nil {
			return
		}
		head, reads = head[:0], 0
	}
}

// polled has a job of polls done before such a server.
func polled(t *testing.T, j load.Job) *segments {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := new(segments)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { s.serve(c) })
		}
	})
	j.Kind, j.Addr, j.Conns, j.Seconds, j.Warmup = load.Poll, l.Addr().String(), 3, 0.3, 0.02
	if r := run(t, j, nil, nil); r.Ops == 0 || r.Errors != 0 {
		t.Errorf("%+v", r)
	}
	l.Close()
	serving.Wait()
	return s
}

// TestSegmentsArriveApart watches the server's side. Where it is not woken between two segments it finds them together, so
// only some have to have come apart.
func TestSegmentsArriveApart(t *testing.T) {
	t.Parallel()
	s := polled(t, load.Job{Cookies: 1600, Split: 1})
	if s.split == 0 {
		t.Errorf("none of %d requests came in two segments", s.whole)
	}
	for _, head := range s.heads {
		if len(head) < 2000 || len(head) > 2200 || strings.Count(head, "Cookie: ") != 1 || !strings.HasSuffix(head, "\r\n\r\n") {
			t.Fatalf("head of %d bytes: %q", len(head), head)
		}
	}
	if s = polled(t, load.Job{Cookies: 1600}); s.split > 0 || s.whole == 0 {
		t.Errorf("%d of %d came in two segments unasked", s.split, s.split+s.whole)
	}
	if s = polled(t, load.Job{Split: 0.25}); s.split*4 > s.split+s.whole+8 {
		t.Errorf("%d of %d came in two segments, more than a quarter", s.split, s.split+s.whole)
	}
}

// TestAnAnswerBeforeTheSecondSegment is no answer to the request.
func TestAnAnswerBeforeTheSecondSegment(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				body := openPacket
				for b := make([]byte, 64<<10); ; body = "ok" {
					if _, err := c.Read(b); err != nil {
						return
					}
					if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"+body); err != nil {
						return
					}
				}
			})
		}
	})
	r := run(t, load.Job{Kind: load.Post, Addr: l.Addr().String(), Conns: 2, Size: 100, Split: 1, Seconds: 0.2}, nil, nil)
	l.Close()
	serving.Wait()
	if r.Errors == 0 || !strings.Contains(r.FirstError, "before the whole request") {
		t.Errorf("%+v", r)
	}
}

// TestUnknownSIDsDiffer has a server that knows no sid count them.
func TestUnknownSIDsDiffer(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	sids := map[string]int{}
	addr := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		sids[r.URL.Query().Get("sid")]++
		mu.Unlock()
		http.Error(w, `{"code":1,"message":"Session ID unknown"}`, http.StatusBadRequest)
	}))
	if r := run(t, load.Job{Kind: load.Unknown, Addr: addr, Conns: 3, Seconds: 0.1}, nil, nil); r.Ops == 0 || r.Errors != 0 {
		t.Errorf("%+v", r)
	}
	mu.Lock()
	defer mu.Unlock()
	for sid, n := range sids {
		if n > 1 || len(sid) != 20 {
			t.Errorf("%q came %d times", sid, n)
		}
	}
}

// TestAnswersThatAreNotTheKinds holds each kind to the answer that it is about.
func TestAnswersThatAreNotTheKinds(t *testing.T) {
	t.Parallel()
	addr := serve(t, pollServer(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "4") }))
	for _, kind := range []string{load.Page, load.Preflight, load.Misfit, load.Unknown} {
		if r := run(t, load.Job{Kind: kind, Addr: addr, Conns: 2, Seconds: 0.05}, nil, nil); r.Errors == 0 || r.Ops > 0 {
			t.Errorf("%s: %+v", kind, r)
		}
	}
	refuses := serve(t, pollServer(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("EIO") == "3" {
			http.Error(w, "another version", http.StatusBadRequest)
		}
	}))
	if r := run(t, load.Job{Kind: load.Misfit, Addr: refuses, Conns: 2, Seconds: 0.05}, nil, nil); r.Errors > 0 || r.Ops == 0 {
		t.Errorf("misfit: %+v", r)
	}
}
