//go:build linux

package rival_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/bench/rival"
	"github.com/sidway/sidway/engineio/engineiotest"
)

// TestRivals lets each program judge its configuration, starts it before four real nodes, and sees what it does with
// sessions: with a binding for each sid every request finds its node, by a hash or in turn most do not.
func TestRivals(t *testing.T) {
	t.Parallel()
	redis := affinitytest.StartRedis(t)
	for _, r := range rival.All(buildSidway(t)) {
		t.Run(r.Name, func(t *testing.T) {
			var nodes []*engineiotest.Node
			for range 4 {
				nodes = append(nodes, engineiotest.Start(t, engineiotest.Options{}))
			}
			p := newPlan(t, nodes...)
			p.Redis = redis.Addr()
			if err := r.Check(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			if v, err := r.Version(t.Context()); err != nil || v == "" {
				t.Errorf("version %q, %v", v, err)
			}
			start(t, r, p)
			found := drive(t, p.Listen)
			switch r.Family {
			case rival.Sidway, "haproxy":
				if found != sessions {
					t.Errorf("%d of %d sessions were found again", found, sessions)
				}
			default:
				if found == sessions {
					t.Error("every session was found again: then the page has to be written anew")
				}
			}
			for i, n := range nodes {
				if len(n.Sessions()) == 0 {
					t.Errorf("node %d has no session", i)
				}
			}
			connect(t, p.Listen)
		})
	}
}

// sessions is how many drive makes: enough that chance sends a few of them astray.
const sessions = 40

var sid = regexp.MustCompile(`"sid":"([^"]+)"`)

// drive makes sessions, posts to each on a connection that others share, and counts those whose node had it.
func drive(t *testing.T, address string) (found int) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
	t.Cleanup(client.CloseIdleConnections)
	base := "http://" + address + "/socket.io/?EIO=4&transport=polling"
	var sids []string
	for i := range sessions {
		status, body := send(t, client, http.MethodGet, fmt.Sprint(base, "&t=h", i))
		m := sid.FindStringSubmatch(body)
		if status != http.StatusOK || m == nil {
			t.Fatalf("handshake: %d %q", status, body)
		}
		sids = append(sids, m[1])
	}
	slices.Reverse(sids) // or a proxy that takes nodes in turn would find them in the same order
	for i, sid := range sids {
		status, body := send(t, client, http.MethodPost, fmt.Sprint(base, "&t=p", i, "&sid=", sid))
		if status == http.StatusOK {
			found++
		} else if status != http.StatusBadRequest || !strings.Contains(body, "Session ID unknown") {
			t.Fatalf("post: %d %q", status, body)
		}
	}
	return found
}

func send(t *testing.T, client *http.Client, method, url string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader("4hello"))
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodGet {
		request.Body, request.ContentLength = http.NoBody, 0
	}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}

// connect opens a tunnel and reads its open packet.
func connect(t *testing.T, address string) {
	t.Helper()
	c, _, err := websocket.Dial(t.Context(), "ws://"+address+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if _, packet, err := c.Read(t.Context()); err != nil || !strings.HasPrefix(string(packet), `0{"sid":`) {
		t.Errorf("open packet %q, %v", packet, err)
	}
}

func TestRefusedConfiguration(t *testing.T) {
	t.Parallel()
	p := newPlan(t)
	p.Nodes = []string{"127.0.0.1:1"}
	p.Listen = "127.0.0.1:nowhere"
	for _, r := range rival.All(buildSidway(t)) {
		if err := r.Check(t.Context(), p); err == nil || !strings.Contains(err.Error(), "refuses its configuration") {
			t.Errorf("%s: %v", r.Name, err)
		}
		process, err := r.Start(t.Context(), p)
		if err == nil {
			process.Stop()
		}
		if err == nil || !strings.Contains(err.Error(), "ended at once") {
			t.Errorf("%s: %v", r.Name, err)
		}
	}
}
