package auth_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/auth"
)

// authServer answers as its handler says, and remembers what it was asked.
type authServer struct {
	*httptest.Server
	answer atomic.Pointer[http.HandlerFunc]
	mu     sync.Mutex
	asked  []*http.Request
}

func startAuth(t *testing.T, answer http.HandlerFunc) *authServer {
	s := &authServer{}
	s.answer.Store(&answer)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, q)
		s.mu.Unlock()
		(*s.answer.Load())(w, q)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *authServer) set(answer http.HandlerFunc) { s.answer.Store(&answer) }

func (s *authServer) count() int { s.mu.Lock(); defer s.mu.Unlock(); return len(s.asked) }

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func newForward(t *testing.T, o auth.ForwardOptions) *auth.Forward {
	t.Helper()
	o.Headers = append(o.Headers, "Authorization", "Cookie")
	if o.Timeout == 0 {
		o.Timeout = patience
	}
	g := auth.NewForward(o)
	t.Cleanup(g.Close)
	return g
}

// ask is a handshake with these headers.
func ask(uri string, headers ...string) *auth.Ask {
	return &auth.Ask{
		Method: "GET", Host: "chat.example.com", URI: uri, Proto: "https", For: "192.0.2.1",
		Header: func(name string) string {
			if i := slices.Index(headers, name); i >= 0 {
				return headers[i+1]
			}
			return ""
		},
	}
}

// verdict waits for one, and tells whether somebody had to be asked.
func verdict(g auth.Gate, a *auth.Ask) (v auth.Verdict, asked bool) {
	v, later := g.Judge(a)
	if later != nil {
		v = later()
	}
	return v, later != nil
}

func TestWhatTheServerIsToldAndTells(t *testing.T) {
	s := startAuth(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("X-User", "me")
		w.Header().Add("X-Roles", "a")
		w.Header().Add("X-Roles", "b")
		w.Header().Set("X-Other", "not asked for")
		w.WriteHeader(204)
	})
	g := newForward(t, auth.ForwardOptions{URL: s.URL + "/verify?for=chat", Headers: []string{"Origin"}, Copy: []string{"X-User", "X-Roles", "X-Nothing"}})
	v, _ := verdict(g, ask("/socket.io/?EIO=4&token=x", "Authorization", "Bearer x", "Cookie", "a=b", "Origin", "https://page", "X-Secret", "y"))
	want := []auth.Field{{Name: "X-User", Value: "me"}, {Name: "X-Roles", Value: "a, b"}}
	if v.Outcome != auth.Granted || !slices.Equal(v.Fields, want) {
		t.Errorf("got %+v", v)
	}
	q := s.asked[0]
	for name, want := range map[string]string{
		"X-Forwarded-Method": "GET", "X-Forwarded-Uri": "/socket.io/?EIO=4&token=x", "X-Forwarded-Host": "chat.example.com", "X-Forwarded-Proto": "https",
		"X-Forwarded-For": "192.0.2.1", "Authorization": "Bearer x", "Cookie": "a=b", "Origin": "https://page", "X-Secret": "",
	} {
		if got := q.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if q.Method != "GET" || q.RequestURI != "/verify?for=chat" || "http://"+q.Host != s.URL {
		t.Errorf("asked %s %s at %s", q.Method, q.RequestURI, q.Host)
	}
}

func TestWhatTheServersAnswersMean(t *testing.T) {
	s := startAuth(t, status(200))
	var faults, mended atomic.Int64
	g := newForward(t, auth.ForwardOptions{URL: s.URL, OnFault: func(err error) {
		if err == nil {
			mended.Add(1)
		} else if faults.Add(1); !strings.Contains(err.Error(), "the answer is") {
			t.Error(err)
		}
	}})
	open := newForward(t, auth.ForwardOptions{URL: s.URL, FailOpen: true})
	for code, want := range map[int]auth.Outcome{
		200: auth.Granted, 299: auth.Granted, 401: auth.Denied, 403: auth.Denied,
		302: auth.Unreachable, 404: auth.Unreachable, 429: auth.Unreachable, 500: auth.Unreachable, 503: auth.Unreachable,
	} {
		s.set(status(code))
		if v, _ := verdict(g, ask("/")); v.Outcome != want {
			t.Errorf("%d: %v, want %v", code, v.Outcome, want)
		}
		if want == auth.Unreachable {
			want = auth.Granted
		}
		if v, _ := verdict(open, ask("/")); v.Outcome != want {
			t.Errorf("%d, fail_open: %v, want %v", code, v.Outcome, want)
		}
	}
	s.set(status(500))
	for range 3 {
		verdict(g, ask("/"))
	}
	s.set(status(200))
	before, told := mended.Load(), faults.Load()
	verdict(g, ask("/"))
	if mended.Load() != before+1 || faults.Load() != told || told > before+1 {
		t.Errorf("faults told of %d times, and that they are over %d times", faults.Load(), mended.Load())
	}
}

func TestAServerThatDoesNotAnswer(t *testing.T) {
	release := make(chan struct{})
	s := startAuth(t, func(_ http.ResponseWriter, q *http.Request) {
		select {
		case <-release:
		case <-q.Context().Done():
		}
	})
	defer close(release)
	g := newForward(t, auth.ForwardOptions{URL: s.URL, Timeout: 50 * time.Millisecond, OnFault: func(err error) {
		if err != nil && !strings.HasSuffix(err.Error(), ": no answer in time") {
			t.Error(err)
		}
	}})
	if v, _ := verdict(g, ask("/")); v.Outcome != auth.Unreachable {
		t.Errorf("silent: %v", v.Outcome)
	}
	refused := newForward(t, auth.ForwardOptions{URL: "http://127.0.0.1:1/?key=hidden", OnFault: func(err error) {
		if err == nil || strings.Contains(err.Error(), "hidden") || !strings.Contains(err.Error(), "refused") {
			t.Error(err)
		}
	}})
	if v, _ := verdict(refused, ask("/")); v.Outcome != auth.Unreachable {
		t.Errorf("refused: %v", v.Outcome)
	}
}

func TestVerdictsAreKeptForTheSameCredentials(t *testing.T) {
	s := startAuth(t, status(204))
	g := newForward(t, auth.ForwardOptions{URL: s.URL, Cache: time.Hour})
	first := ask("/socket.io/?EIO=4&transport=polling&t=abc&token=x", "Cookie", "a=b")
	if _, asked := verdict(g, first); !asked {
		t.Error("nobody was asked")
	}
	for what, c := range map[string]struct {
		ask   *auth.Ask
		asked bool
	}{
		"the same":          {first, false},
		"Engine.IO's own":   {ask("/socket.io/?EIO=3&transport=websocket&t=def&token=x", "Cookie", "a=b"), false},
		"another token":     {ask("/socket.io/?EIO=4&transport=polling&token=y", "Cookie", "a=b"), true},
		"another cookie":    {ask("/socket.io/?token=x", "Cookie", "a=c"), true},
		"another header":    {ask("/socket.io/?token=x", "Authorization", "a=b"), true},
		"both":              {ask("/socket.io/?token=x", "Authorization", "a", "Cookie", "=b"), true},
		"none":              {ask("/socket.io/?token=x"), true},
		"another path":      {ask("/other/?token=x", "Cookie", "a=b"), true},
		"joined parameters": {ask("/socket.io/?token=x1:a", "Cookie", "a=b"), true},
	} {
		if v, asked := verdict(g, c.ask); v.Outcome != auth.Granted || asked != c.asked {
			t.Errorf("%s: %v, asked %v", what, v.Outcome, asked)
		}
	}
	elsewhere := ask("/socket.io/?token=x", "Cookie", "a=b")
	elsewhere.For = "192.0.2.2"
	if _, asked := verdict(g, elsewhere); !asked {
		t.Error("another client's verdict is taken")
	}
	s.set(status(403))
	for i, want := range []bool{true, false} {
		if v, asked := verdict(g, ask("/denied")); v.Outcome != auth.Denied || asked != want {
			t.Errorf("%d: %v, asked %v", i, v.Outcome, asked)
		}
	}
	s.set(status(500))
	for range 2 {
		if v, asked := verdict(g, ask("/broken")); v.Outcome != auth.Unreachable || !asked {
			t.Errorf("a fault is kept: %v", v.Outcome)
		}
	}
	short := newForward(t, auth.ForwardOptions{URL: s.URL, Cache: time.Nanosecond})
	s.set(status(204))
	before := s.count()
	for range 3 {
		verdict(short, first)
	}
	if n := s.count() - before; n != 3 {
		t.Errorf("asked %d times for verdicts that are over", n)
	}
}

// However many clients come, the server has a bounded number of requests, and beyond a bound that wait clients are refused at once.
func TestTheServerIsNotFlooded(t *testing.T) {
	release, busy, most := make(chan struct{}), atomic.Int64{}, atomic.Int64{}
	s := startAuth(t, func(http.ResponseWriter, *http.Request) {
		for n := busy.Add(1); ; {
			if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		<-release
		busy.Add(-1)
	})
	g := newForward(t, auth.ForwardOptions{URL: s.URL})
	const clients = 4096 + 10
	var work sync.WaitGroup
	refused, granted := 0, atomic.Int64{}
	for i := range clients {
		v, later := g.Judge(ask(fmt.Sprintf("/?token=%d", i)))
		if later == nil {
			if refused++; v.Outcome != auth.Unreachable {
				t.Error(v.Outcome)
			}
			continue
		}
		work.Go(func() {
			if later().Outcome == auth.Granted {
				granted.Add(1)
			}
		})
	}
	eventually(t, "the server is busy", func() bool { return busy.Load() == 64 })
	close(release)
	work.Wait()
	if refused != 10 || granted.Load() != clients-10 || most.Load() > 64 {
		t.Errorf("%d refused, %d granted, %d at a time", refused, granted.Load(), most.Load())
	}
	if v, _ := verdict(g, ask("/")); v.Outcome != auth.Granted {
		t.Errorf("afterwards: %v", v.Outcome)
	}
}
