package adapter_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/sidway/sidway/adapter/internal/group"
	"github.com/sidway/sidway/adapter/internal/redistest"
)

// TestClosedServer asks a closed server, whose HTTP server runs on, for new sessions and for one that it had.
func TestClosedServer(t *testing.T) {
	h := serveHere(t, nil)
	url := h.http.URL + "/socket.io/?EIO=4&transport="
	_, text, err := get(url + "polling")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(text, `"sid":"`)
	sid, _, _ := strings.Cut(rest, `"`)
	h.io.Close(nil)

	for _, c := range []struct {
		query, text string
		status      int
	}{
		{"polling", "server is closed\n", http.StatusServiceUnavailable},
		{"polling&sid=", "server is closed\n", http.StatusServiceUnavailable},
		{"polling&sid=" + sid, `{"code":1,"message":"Session ID unknown"}`, http.StatusBadRequest},
	} {
		a, err := http.Get(url + c.query)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(a.Body)
		if err := errors.Join(err, a.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if a.StatusCode != c.status || string(b) != c.text || !a.Close {
			t.Errorf("%s: %d %q, closes: %v", c.query, a.StatusCode, b, a.Close)
		}
	}
	for query, want := range map[string]int{
		"websocket": http.StatusServiceUnavailable, "websocket&sid=" + sid: http.StatusBadRequest,
	} {
		_, a, err := websocket.Dial(t.Context(), url+query, nil)
		if err == nil || a == nil || a.StatusCode != want {
			t.Errorf("%s: %v %v", query, a, err)
		}
	}
}

// TestCloseMeanwhile closes servers while clients make sessions: none of these is left.
func TestCloseMeanwhile(t *testing.T) {
	for range 20 {
		h := serveHere(t, nil)
		var clients group.Group
		begun := make(chan struct{}, 1)
		for k := range 8 {
			clients.Go(func() {
				for status := 0; status != http.StatusServiceUnavailable; {
					var err error
					if status, _, err = get(fmt.Sprintf("%s/socket.io/?EIO=4&transport=polling&t=%d", h.http.URL, k)); err != nil {
						t.Error(err)
						return
					}
					select {
					case begun <- struct{}{}:
					default:
					}
				}
			})
		}
		<-begun
		h.io.Close(nil)
		clients.Wait()
		redistest.Eventually(t, "no session", func() bool { return h.io.Engine().ClientsCount() == 0 })
		h.close()
	}
}
