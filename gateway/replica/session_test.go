package replica_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway/api"
)

// traceOf asks a replica about a session.
func traceOf(t *testing.T, r *running, sid string) (s api.Trace) {
	t.Helper()
	code, text := call(t, r, "GET", "/api/sessions/"+sid+"/trace", "")
	if err := json.Unmarshal([]byte(text), &s); err != nil || code != 200 {
		t.Fatalf("%d %s", code, text)
	}
	if len(sid) > 4 && strings.Contains(text, sid) {
		t.Errorf("the whole sid is told: %s", text)
	}
	return s
}

// steps are a session's requests in short.
func steps(s api.Trace) string {
	var all []string
	for _, q := range s.Requests {
		all = append(all, strings.TrimSpace(fmt.Sprint(q.Kind, " ", q.Status, " ", q.Cause)))
	}
	return strings.Join(all, ", ")
}

// twoReplicas starts two of a node that share a Redis, and know of each other.
func twoReplicas(t *testing.T, node *engineiotest.Node) (rdb *affinitytest.Redis, a, b *running) {
	t.Helper()
	rdb = affinitytest.StartRedis(t)
	var replicas []*running
	for range 2 {
		cfg := settings(node)
		cfg.Affinity.Redis = rdb.URL()
		r := start(t, cfg)
		awaitReady(t, r)
		replicas = append(replicas, r)
	}
	a, b = replicas[0], replicas[1]
	affinitytest.Eventually(t, "they know of each other", func() bool {
		return len(statusOf(t, a).Replicas) == 2 && len(statusOf(t, b).Replicas) == 2
	})
	return rdb, a, b
}

// What one replica remembers of a session is told by the other: who has its WebSocket, its requests at both, and how it ended.
func TestTraceAtTwoReplicas(t *testing.T) {
	t.Parallel()
	rdb, a, b := twoReplicas(t, engineiotest.Start(t, engineiotest.Options{}))
	replicas := []*running{a, b}
	sid := polling(t, a)
	affinitytest.Eventually(t, "the handshake is over", func() bool { return steps(traceOf(t, b, sid)) == "handshake 200" })
	if s := traceOf(t, b, sid); !s.Live || s.Transport != "polling" || s.Node != "n1" || s.NodeState != "healthy" || s.Cluster != "chat" || s.Since.IsZero() || s.Replicas != 2 || s.Answered != 2 {
		t.Errorf("polling: %+v", s)
	}
	conn := upgraded(t, b, sid)
	nameB := statusOf(t, b).Replica.Name
	for _, r := range replicas {
		s := traceOf(t, r, sid)
		if !s.Live || s.Transport != "websocket" || s.Tunnel != nameB || s.TunnelSince.IsZero() || steps(s) != "handshake 200, upgrade 101" {
			t.Errorf("upgraded: %+v", s)
		}
	}
	if s := traceOf(t, b, sid[:4]); !s.Live || s.SID != sid[:4]+"…" {
		t.Errorf("by its beginning: %+v", s)
	}
	_ = conn.Close(websocket.StatusNormalClosure, "")
	affinitytest.Eventually(t, "its end is known to both", func() bool {
		for _, r := range replicas {
			s := traceOf(t, r, sid)
			if s.Live || !strings.HasPrefix(s.Why, "it ended at 20") || !strings.HasSuffix(s.Why, "(seen by "+nameB+")") || !strings.Contains(steps(s), "upgrade 101, websocket 0 ") {
				return false
			}
		}
		return true
	})
	if s := traceOf(t, a, "nobodyknowsthissession"); s.Live || !strings.HasPrefix(s.Why, "it was never seen") {
		t.Errorf("unknown: %+v", s)
	}
	rdb.Kill()
	if s := traceOf(t, a, "nobodyknowsthissession"); s.Live || s.Note == "" {
		t.Errorf("without Redis: %+v", s)
	}
}

// Why a session lives no more, at a replica alone.
func TestTraceOfEndedSessions(t *testing.T) {
	node := engineiotest.Start(t, engineiotest.Options{})
	r := start(t, settings(node))
	closed, lost, direct := polling(t, r), polling(t, r), open(t, r)
	res, err := http.Post(r.url("/socket.io/?EIO=4&transport=polling&sid="+closed), "text/plain", strings.NewReader("1"))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	expect := func(what, sid, why string) {
		t.Helper()
		affinitytest.Eventually(t, what, func() bool {
			s := traceOf(t, r, sid)
			return !s.Live && strings.Contains(s.Why, why) && s.Note == "without Redis only this replica was asked"
		})
	}
	expect("a client closes", closed, ": its client closed it (seen by ")
	for _, sid := range node.Sessions() {
		if s := traceOf(t, r, sid); sid != lost && (!s.Live || s.Transport != "websocket" || s.Since.IsZero()) {
			t.Errorf("connected directly: %+v", s)
		}
	}
	node.Down()
	fetch(t, r.url("/socket.io/?EIO=4&transport=polling&sid="+lost))
	expect("the node is gone", lost, ": its node could not be reached (seen by ")
	affinitytest.Eventually(t, "its requests", func() bool { // a request is told of when its answer has gone
		s := steps(traceOf(t, r, lost))
		return s == "handshake 200, poll 200 session_gone" || s == "handshake 200, poll 400 session_gone"
	})
	direct.CloseNow()
}
