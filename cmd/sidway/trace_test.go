package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway/api"
)

// A session that was made at one replica is traced at another one that shares its Redis.
func TestTracing(t *testing.T) {
	node, rdb := engineiotest.Start(t, engineiotest.Options{}), affinitytest.StartRedis(t)
	var replicas []*process
	var operators []operator
	var listens []string
	for i := range 2 {
		o := operator{t, filepath.Join(t.TempDir(), fmt.Sprint("sidway", i, ".yaml"))}
		listen := free(t)
		text := fmt.Sprintf("listen: %s\nadmin: {listen: %q}\naffinity: {redis: %q}\nclusters:\n  - name: chat\n    nodes: [{name: n1, url: %q}]\n", listen, free(t), rdb.URL(), node.URL())
		if err := os.WriteFile(o.file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p := start(t, []string{"SIDWAY_SHUTDOWN_NOTICE=0s"}, "serve", "--config", o.file)
		p.expect(t, "msg=serving")
		replicas, operators, listens = append(replicas, p), append(operators, o), append(listens, listen)
	}
	affinitytest.Eventually(t, "the replicas know of each other", func() bool {
		_, out := operators[1].run("status")
		return strings.Count(out, "  ready") == 2
	})
	url := "http://" + listens[0] + "/socket.io/?EIO=4&transport=polling"
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	said, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	_, sid, _ := strings.Cut(string(said), `"sid":"`)
	sid, _, _ = strings.Cut(sid, `"`)
	here, elsewhere := operators[0], operators[1]
	affinitytest.Eventually(t, "the handshake is remembered", func() bool {
		status, out := elsewhere.run("trace", sid)
		return status == 0 && strings.HasPrefix(out, sid+"  live\n") && strings.Contains(out, "node       n1, healthy\n") && strings.Contains(out, "2 of 2 answered") && strings.Contains(out, "  handshake     200  ")
	})
	here.expect(0, sid[:4]+"  live\n", "trace", sid[:4])
	here.expect(0, `"kind":"handshake"`, "trace", sid, "--json")
	here.expect(1, "no such session with a WebSocket: it polls", "trace", sid, "--packets")
	here.expect(1, "409 Conflict: not done: the session's cluster does not move sessions: see sessions.move", "move", sid)
	here.expect(1, `409 Conflict: not done: the cluster has no such node: "n9"`, "move", sid, "--to", "n9")
	here.expect(1, "409 Conflict: not done: the session lives on that node", "move", sid, "--to", "n1")
	if res, err = http.Post(url+"&sid="+sid, "text/plain", strings.NewReader("1")); err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	affinitytest.Eventually(t, "its end is known", func() bool {
		status, out := elsewhere.run("trace", sid)
		return status == 1 && strings.Contains(out, "sidway: no session is live by that sid: it ended at ") && strings.Contains(out, ": its client closed it (seen by ")
	})
	here.expect(1, "it was never seen", "trace", "nobodyknowsthissession")
	here.expect(1, "it was never seen", "trace", "-nobodyknowsthissession")
	here.expect(2, "say which session, as sidway trace ", "trace")
	here.expect(2, "unknown flag --jso; did you mean --json?", "trace", sid, "--jso")
	here.expect(2, "unknown flag --jso; did you mean --json?", "trace", "--jso")
	here.expect(1, "this replica carries no WebSocket of that session", "trace", "nobodyknowsthissession", "--packets")
	for _, p := range replicas {
		p.signal(t, syscall.SIGTERM)
		p.end(t)
	}
}

func TestPacketOnALine(t *testing.T) {
	at := time.Date(2026, 11, 29, 1, 2, 3, 4_000_000, time.Local)
	for want, v := range map[string]api.Packet{
		"01:02:03.004  → node    event              14 B  \"hello\"  #7":                                               {Type: "event", From: "client", Namespace: "/", Event: "hello", ID: new(uint64(7)), Size: 14},
		"01:02:03.004  ← client  ack                 5 B  /chat  #7  after 1.2ms  \"[\\\"x\\\"]\"":                     {Type: "ack", From: "node", Namespace: "/chat", ID: new(uint64(7)), Size: 5, Took: 0.0012, Payload: `["x"]`},
		"3 packets were too fast to be shown\n01:02:03.004  → node    binary_event       40 B  \"\\u202e\"  +2 binary": {Type: "binary_event", From: "client", Event: "\u202e", Attachments: 2, Size: 40, Missed: 3},
	} {
		v.Time = at
		if got := (page{}).packet(&v); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
