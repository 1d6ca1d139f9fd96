package api_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sidway/sidway/affinity/affinitytest"
)

// So many may listen, whatever they listen to. Others are told so, until somebody leaves.
func TestStreamsAreBounded(t *testing.T) {
	s := start(t)
	paths := []string{"/api/events", "/api/status/stream"}
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
		if last = listen(paths[i%2]); last.StatusCode != 200 {
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
