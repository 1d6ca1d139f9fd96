package discover_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/discover"
)

// oddAPI answers lists and watches in a way that no API of Kubernetes does.
func oddAPI(t *testing.T, list, watch http.HandlerFunc) *discover.Kubernetes {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("watch") {
			watch(w, r)
		} else {
			list(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return &discover.Kubernetes{Service: "chat", Namespace: "prod", API: server.URL, Account: t.TempDir()}
}

// onePod lists a slice with a pod, and a page behind it if there is more.
func onePod(more string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"metadata":{"resourceVersion":"1","continue":%q},"items":[{"metadata":{"name":"s"},%s}]}`, more, pods("IPv4", "chat-1=10.0.0.1"))
	}
}

// endless begins some JSON that never ends, until nobody reads it any more, and counts its bytes.
func endless(begin string, sent *atomic.Int64) http.HandlerFunc {
	more := strings.Repeat("a", 64<<10)
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, err := io.WriteString(w, begin); err == nil; _, err = io.WriteString(w, more) {
			sent.Add(int64(len(more)))
		}
	}
}

// A watch that ends at once is not begun again at once, whatever it has told.
func TestWatchesThatEndAtOnceArePaused(t *testing.T) {
	t.Parallel()
	const first, watches = 100 * time.Millisecond, 6
	var asked atomic.Int64
	began, done := time.Now(), make(chan time.Duration, 1)
	k := oddAPI(t, onePod(""), func(w http.ResponseWriter, _ *http.Request) {
		n := asked.Add(1)
		fmt.Fprintf(w, `{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"%d"}}}`, n+1)
		if n == watches {
			done <- time.Since(began)
		}
	})
	run(t, k.Hurry(first)).list("chat-1=10.0.0.1:3001{z1}")
	if took := <-done; took < (watches-1)*first/2 {
		t.Errorf("%d watches in %v", watches, took)
	}
}

// A list whose pages have no end is given up, and asked for again only after a pause.
func TestListsWithoutEnd(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	page := onePod("more")
	k := oddAPI(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		page(w, r)
	}, nil)
	run(t, k.Hurry(time.Hour)).problem("list", "no end after 100 pages")
	if n := asked.Load(); n != 100 {
		t.Errorf("%d pages were asked for", n)
	}
}

// What the API says is read up to a bound.
func TestAnswersWithoutEnd(t *testing.T) {
	t.Parallel()
	var list, event atomic.Int64
	run(t, oddAPI(t, endless(`{"items":[{"metadata":{"name":"`, &list), nil).Hurry(time.Hour)).problem("list", "too long")
	l := run(t, oddAPI(t, onePod(""), endless(`{"type":"ADDED","object":{"metadata":{"name":"`, &event)).Hurry(time.Hour))
	l.list("chat-1=10.0.0.1:3001{z1}")
	l.problem("watch", "too long")
	if list.Load() > 64<<20 || event.Load() > 64<<20 {
		t.Errorf("%d bytes of a list were read, and %d of an event", list.Load(), event.Load())
	}
}

// Slices are kept up to a number, whether a list or a watch brings them, and that is told once.
func TestTooManySlices(t *testing.T) {
	t.Parallel()
	const most = 2000
	list := func(n int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			items := []string{`{"metadata":{"name":"s0"},"ports":[{"port":80}]}`}
			for i := 1; i < n; i++ {
				items = append(items, fmt.Sprintf(`{"metadata":{"name":"s%d"}}`, i))
			}
			fmt.Fprintf(w, `{"metadata":{"resourceVersion":"1"},"items":[%s]}`, strings.Join(items, ","))
		}
	}
	watches := make(chan int, 100)
	l := run(t, oddAPI(t, list(most), func(w http.ResponseWriter, _ *http.Request) {
		watches <- 1
		for i := range 10 {
			fmt.Fprintf(w, `{"type":"ADDED","object":{"metadata":{"name":"more%d","resourceVersion":"2"}}}`, i)
		}
	}).Hurry(time.Millisecond))
	l.list()
	l.problem("more than 2000 EndpointSlices")
	for range 3 {
		<-watches
	}
	select {
	case c := <-l.calls:
		t.Errorf("told %v", c)
	default:
	}
	run(t, oddAPI(t, list(most+1), nil).Hurry(time.Hour)).problem("more than 2000 EndpointSlices")
}

// A pod whose name or address cannot be a node's is left out, and told once.
func TestNamesThatNoNodeMayHave(t *testing.T) {
	for _, odd := range []string{"chat 2=10.0.0.2", "chat\n2=10.0.0.2", "-chat=10.0.0.2", "ch\u00e4t=10.0.0.2", strings.Repeat("a", 300) + "=10.0.0.2", "chat-2=10.0.0.2/x", "chat-2="} {
		k := newKubeAPI(t)
		k.put("chat-a", pods("IPv4", "chat-1=10.0.0.1", odd))
		l := run(t, k.inPod(discover.Kubernetes{}))
		l.list("chat-1=10.0.0.1:3001{z1}")
		name, _, _ := strings.Cut(odd, "=")
		l.problem("prod/chat", fmt.Sprintf("%.64q at ", name), "is left out")
		k.put("chat-a", pods("IPv4", "chat-1=10.0.0.1", odd, "chat-3=10.0.0.3"))
		l.list("chat-1=10.0.0.1:3001{z1}", "chat-3=10.0.0.3:3001{z1}")
		k.put("chat-a", pods("IPv4", "chat-1=10.0.0.1", "chat-3=10.0.0.3"))
		l.over()
	}
}
