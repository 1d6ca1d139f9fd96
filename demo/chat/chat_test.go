package chat_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/demo/chat"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a node behind an address of its own.
func start(t *testing.T, o chat.Options) *httptest.Server {
	t.Helper()
	o.Name = "n1"
	n, err := chat.New(o)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(n.Handler())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		s.CloseClientConnections()
		s.Close()
		o.Redis.Close()
	})
	return s
}

func TestPagesOfOtherSitesAreRefused(t *testing.T) {
	s := start(t, chat.Options{Redis: affinitytest.StartRedis(t).Client()})
	host := strings.TrimPrefix(s.URL, "http://")
	for origin, want := range map[string]int{
		"": 200, "http://" + host: 200, "https://" + host: 200,
		"http://evil.example": 403, "http://" + host + ".evil.example": 403, "null": 403,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/socket.io/?EIO=4&transport=polling", nil)
		if err != nil {
			t.Fatal(err)
		}
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		r.Close = true
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("from %q: %d %s", origin, resp.StatusCode, body)
		}
	}
}

func TestItServesWithoutRedis(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1, DialTimeout: time.Second})
	s := start(t, chat.Options{Redis: rdb})
	for _, path := range []string{"/", "/healthz", "/socket.io/?EIO=4&transport=polling"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Close = true
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}

func TestANodeNeedsANameAndARedis(t *testing.T) {
	if _, err := chat.New(chat.Options{Name: "n1"}); err == nil {
		t.Error("made without a Redis")
	}
}

func TestParseReplica(t *testing.T) {
	got, err := chat.ParseReplica("r1=[::1]:8080")
	if want := (chat.Replica{Name: "r1", Host: "::1", Port: "8080"}); err != nil || got != want {
		t.Errorf("%+v %v", got, err)
	}
	for _, bad := range []string{"", "r1", "=a:1", "r1=a", "r1=a:b", "r1=:1", "r1=a:70000"} {
		if got, err := chat.ParseReplica(bad); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}
