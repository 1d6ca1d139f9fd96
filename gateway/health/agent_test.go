package health_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/health"
)

// quick is for probes of real nodes that are to come soon.
var quick = health.Settings{Path: "/healthz", Interval: 20 * time.Millisecond, Timeout: patient}

func TestAgent(t *testing.T) {
	for name, c := range map[string]struct {
		answer  string
		outcome health.Outcome
		drain   bool
		weight  float64
		reason  string
	}{
		"header":                    {"200 OK\r\nX-Sidway: drain\r\nContent-Length: 0\r\n\r\n", health.OK, true, 1, ""},
		"header, weight":            {"200 OK\r\nx-sidway: weight=50%\r\nContent-Length: 0\r\n\r\n", health.OK, false, 0.5, ""},
		"headers":                   {"200 OK\r\nX-Sidway: drain\r\nX-Sidway: 5%\r\nContent-Length: 0\r\n\r\n", health.OK, true, 0.05, ""},
		"header before body":        {"200 OK\r\nX-Sidway: ready\r\nContent-Length: 5\r\n\r\ndrain", health.OK, false, 1, ""},
		"body":                      {"200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\ndrain", health.OK, true, 1, ""},
		"body with a charset":       {"200 OK\r\nContent-Type: Text/Plain; charset=utf-8\r\nContent-Length: 11\r\n\r\n50%\r\nall ok", health.OK, false, 0.5, ""},
		"body without a type":       {"200 OK\r\nContent-Length: 6\r\n\r\ndrain\n", health.OK, true, 1, ""},
		"body of another type":      {"200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\ndrain", health.OK, false, 1, ""},
		"second line":               {"200 OK\r\nContent-Type: text/plain\r\nContent-Length: 8\r\n\r\nok\ndrain", health.OK, false, 1, ""},
		"wrong status, drain":       {"503 Bye\r\nX-Sidway: drain\r\nContent-Length: 0\r\n\r\n", health.OK, true, 1, "answered 503 and drain"},
		"wrong status, body":        {"503 Bye\r\nContent-Length: 5\r\n\r\ndrain", health.OK, true, 1, "answered 503 and drain"},
		"wrong status, less weight": {"503 Bye\r\nX-Sidway: 50%\r\nContent-Length: 0\r\n\r\n", health.WrongStatus, false, 1, "answered 503"},
		"wrong status, ready":       {"503 Bye\r\nX-Sidway: ready\r\nContent-Length: 0\r\n\r\n", health.WrongStatus, false, 1, "answered 503"},
	} {
		t.Run(name, func(t *testing.T) {
			v := once(t, health.Settings{Path: "/healthz", Timeout: patient}, says(t, "HTTP/1.1 "+c.answer))
			if v.Outcome != c.outcome || v.Drain != c.drain || v.Weight != c.weight || v.Reason != c.reason || v.Changed != c.drain {
				t.Errorf("%+v", v)
			}
		})
	}
}

// What a node says stands while it answers nothing or only fails, and until it says something else, or nothing.
func TestAgentsWordsStand(t *testing.T) {
	for name, then := range map[string]string{
		"nothing": "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"ready":   "HTTP/1.1 200 OK\r\nX-Sidway: ready\r\nContent-Length: 0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			answers := []string{
				"HTTP/1.1 200 OK\r\nX-Sidway: drain 50%\r\nContent-Length: 0\r\n\r\n",
				"HTTP/1.1 503 Oops\r\nContent-Length: 0\r\n\r\n",
				"",
				then,
				then,
			}
			var count atomic.Int64
			verdicts := run(t, quick, rawNode(t, func(c *net.TCPConn) {
				readRequest(c)
				_, _ = io.WriteString(c, answers[min(int(count.Add(1)), len(answers))-1])
			}))
			for i, changed := range []bool{true, false, false, true, false} {
				v := next(t, verdicts)
				if drains := i < 3; v.Drain != drains || (v.Weight == 0.5) != drains || v.Changed != changed || !v.Healthy {
					t.Errorf("%d: %+v", i, v)
				}
			}
		})
	}
}

// A node of net/http goes down and comes back at its address.
func TestNodeRecovers(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	address := l.Addr().String()
	serve := func(l net.Listener) *httptest.Server {
		s := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "ok\n")
		})}}
		s.Start()
		return s
	}
	node := serve(l)
	verdicts := run(t, quick, address)
	until := func(what string, healthy bool) {
		for {
			if v := next(t, verdicts); v.Changed {
				if v.Healthy != healthy {
					t.Errorf("%s: %+v", what, v)
				}
				return
			}
		}
	}
	if v := next(t, verdicts); !v.Healthy || v.Outcome != health.OK {
		t.Errorf("%+v", v)
	}
	node.Close()
	until("down", false)
	node = serve(listen(t, address))
	defer node.Close()
	until("back", true)
}
