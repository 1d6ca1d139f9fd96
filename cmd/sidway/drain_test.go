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

	"github.com/sidway/sidway/engineio/engineiotest"
)

// A client that polled and has vanished is not waited for longer than the protocol lets it be silent, nor for more than some seconds once its
// session is to end, and the wait says what it is for.
func TestDrainOfAClientThatHasVanished(t *testing.T) {
	timers := engineiotest.Options{PingInterval: time.Second, PingTimeout: 2 * time.Second}
	a := engineiotest.Start(t, timers)
	listen, admin := free(t), free(t)
	o := operator{t, filepath.Join(t.TempDir(), "sidway.yaml")}
	text := fmt.Sprintf("listen: %s\nadmin: {listen: %q}\nclusters:\n  - name: chat\n    nodes: [{name: n1, url: %q}]\n", listen, admin, a.URL())
	if err := os.WriteFile(o.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, []string{"SIDWAY_SHUTDOWN_NOTICE=0s"}, "serve", "--config", o.file)
	p.expect(t, "msg=serving")
	res, err := http.Get("http://" + listen + "/socket.io/?EIO=4&transport=polling")
	if err != nil {
		t.Fatal(err)
	}
	said, _ := io.ReadAll(res.Body)
	res.Body.Close()
	_, sid, _ := strings.Cut(string(said), `"sid":"`)
	sid, _, _ = strings.Cut(sid, `"`)

	status, out := o.run("drain", "n1", "--deadline", "0s", "--wait")
	if status != 0 || !strings.Contains(out, "1 of 1 sessions left: 1 poll and have no request here now; ") || strings.Contains(out, "done at") {
		t.Errorf("%d %s", status, out)
	}
	if status, out := o.run("drain", "n1", "--wait"); status != 0 || !strings.Contains(out, "n1 of chat is being drained already, and keeps its deadline: ") {
		t.Errorf("to watch it: %d %s", status, out)
	}
	if res, err = http.Get("http://" + admin + "/api/sessions/" + sid); err != nil {
		t.Fatal(err)
	}
	if res.Body.Close(); res.StatusCode != 200 {
		t.Errorf("its binding has expired: %d", res.StatusCode) // it lives for 18 s
	}
	p.signal(t, syscall.SIGTERM)
	p.end(t)
}

// Where the sessions are to end and other nodes take them, clients that are silent are waited for no longer than for a moment, however long
// the protocol lets them be.
func TestDrainWaitsForNoSilentClient(t *testing.T) {
	nodes := map[string]*engineiotest.Node{"n1": engineiotest.Start(t, engineiotest.Options{}), "n2": engineiotest.Start(t, engineiotest.Options{})}
	listen, admin := free(t), free(t)
	o := operator{t, filepath.Join(t.TempDir(), "sidway.yaml")}
	text := fmt.Sprintf("listen: %s\nadmin: {listen: %q}\nclusters:\n  - name: chat\n    nodes: [{name: n1, url: %q}, {name: n2, url: %q}]\n", listen, admin, nodes["n1"].URL(), nodes["n2"].URL())
	if err := os.WriteFile(o.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, []string{"SIDWAY_SHUTDOWN_NOTICE=0s"}, "serve", "--config", o.file)
	p.expect(t, "msg=serving")
	res, err := http.Get("http://" + listen + "/socket.io/?EIO=4&transport=polling")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	at := "n1"
	if len(nodes["n2"].Sessions()) > 0 {
		at = "n2"
	}
	status, out := o.run("drain", at, "--deadline", "0s", "--wait")
	if status != 0 || !strings.Contains(out, "Sessions left on "+at+": 1, which no client has used for 5s.") {
		t.Errorf("%d %s", status, out)
	}
	p.signal(t, syscall.SIGTERM)
	p.end(t)
}
