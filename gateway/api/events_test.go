package api_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sidway/sidway/affinity/affinitytest"
)

// A session's packets come until it ends.
func TestPackets(t *testing.T) {
	s := start(t)
	status, body := s.ask("GET /api/sessions/known/packets")
	want := ": packets of this session\n\n" +
		`event: packet
data: {"time":"0001-01-01T00:00:00Z","from":"client","type":"event","namespace":"/","event":"hello","id":7,"size":14}

event: packet
data: {"time":"0001-01-01T00:00:00Z","from":"node","type":"ping","size":1}`
	if status != 200 || body != want {
		t.Errorf("%d\n%s\nwant\n%s", status, body, want)
	}
	if status, body := s.ask("GET /api/sessions/nobody/packets"); status != 404 || !strings.Contains(body, "no such session as nobody") {
		t.Errorf("%d %s", status, body)
	}
}

// So many may listen, whatever they listen to, and as many look at packets. Others are told so, until somebody leaves.
func TestStreamsAreBounded(t *testing.T) {
	for _, paths := range [][]string{{"/api/events", "/api/status/stream"}, {"/api/sessions/quiet/packets"}} {
		t.Run(paths[0], func(t *testing.T) { streamsAreBounded(t, paths) })
	}
}

func streamsAreBounded(t *testing.T, paths []string) {
	s := start(t)
	listen := func(path string) *http.Response {
		q, err := http.NewRequestWithContext(t.Context(), "GET", s.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(q)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return res
	}
	var last *http.Response
	for i := range 64 {
		if last = listen(paths[i%len(paths)]); last.StatusCode != 200 {
			t.Fatalf("the %dth gets %d", i+1, last.StatusCode)
		}
	}
	for _, path := range paths {
		res := listen(path)
		if res.StatusCode != 503 {
			t.Fatalf("one more gets %d", res.StatusCode)
		}
		if body, _ := io.ReadAll(res.Body); !strings.Contains(string(body), "there are 64 streams already") {
			t.Errorf("one more gets %s", body)
		}
	}
	if status, _ := s.ask("GET /api/status"); status != 200 {
		t.Errorf("what is no stream gets %d", status)
	}
	last.Body.Close()
	affinitytest.Eventually(t, "another one may listen", func() bool { return listen(paths[0]).StatusCode == 200 })
}
