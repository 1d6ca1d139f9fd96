package control_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/gateway/config"
)

// At the deadline the sessions of all replicas end, no faster together than the other nodes take them.
func TestDrainEndsSessions(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	a, b := start(t, open(t, server), "n1", "n2", "n3"), start(t, open(t, server), "n1", "n2", "n3")
	const mine, theirs = 150, 50
	a.join("n2", mine)
	b.join("n2", theirs)
	affinitytest.Eventually(t, "both know of all sessions", func() bool {
		_, of := a.count("n2")
		_, and := b.count("n2")
		return of == theirs && and == mine
	})
	began := time.Now()
	if err := a.Drain(t.Context(), "chat", "n2", time.Second); err != nil {
		t.Fatal(err)
	}
	if d := a.Draining()["n2"]; d.Sessions != mine+theirs || d.Rate != 0 {
		t.Errorf("before the deadline: %+v", d)
	}
	affinitytest.Eventually(t, "the end has begun", func() bool { return a.Draining()["n2"].Rate == 100 })
	if own, _ := a.count("n2"); own == 0 {
		t.Error("all ended at once")
	}
	affinitytest.Eventually(t, "no session is left", func() bool {
		own, _ := a.count("n2")
		others, _ := b.count("n2")
		return own+others == 0
	})
	// 200 sessions at 50 a second for each of two nodes; the first wave may come at once.
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("took %v", took)
	}
	said := fmt.Sprint(drained(a), drained(b))
	for _, want := range []string{"200 sessions, 100/s, done at ", "drained: no session is left"} {
		affinitytest.Eventually(t, want, func() bool { said += fmt.Sprint(drained(a), drained(b)); return strings.Contains(said, want) })
	}
}

// drained returns the events that have come.
func drained(r replica) (all []string) {
	for {
		select {
		case e := <-r.events:
			all = append(all, e)
		default:
			return all
		}
	}
}

// Sessions stay where no other node takes them, until one does.
func TestDrainOfTheLastNode(t *testing.T) {
	t.Parallel()
	r := start(t, nil, "n1")
	r.join("n1", 10)
	if err := r.Drain(t.Context(), "chat", "n1", time.Nanosecond); err != nil {
		t.Fatal(err)
	}
	said := ""
	affinitytest.Eventually(t, "it is said", func() bool { said += fmt.Sprint(drained(r)); return strings.Contains(said, "no other node takes") })
	if own, _ := r.count("n1"); own != 10 {
		t.Errorf("%d sessions are left", own)
	}
	if err := r.PutNode(t.Context(), "chat", node("n2")); err != nil {
		t.Fatal(err)
	}
	affinitytest.Eventually(t, "they end", func() bool { own, _ := r.count("n1"); return own == 0 })
}

// A drain without a deadline ends nothing.
func TestDrainWithoutDeadline(t *testing.T) {
	t.Parallel()
	r := start(t, nil, "n1", "n2", "n3")
	r.join("n1", 10)
	r.join("n2", 10)
	for node, within := range map[string]time.Duration{"n1": 0, "n2": time.Nanosecond} {
		if err := r.Drain(t.Context(), "chat", node, within); err != nil {
			t.Fatal(err)
		}
	}
	affinitytest.Eventually(t, "that of the other node has ended", func() bool { own, _ := r.count("n2"); return own == 0 })
	if own, _ := r.count("n1"); own != 10 {
		t.Errorf("%d sessions are left", own)
	}
}

// A drain outlives its node, and that is said when a node of that name comes back.
func TestDrainedNodeComesBack(t *testing.T) {
	t.Parallel()
	r := start(t, nil, "n1", "n2")
	said := make(chan string, 10)
	r.Nodes.OnEvent = func(kind, node, text string) { said <- kind + " " + node + " " + text }
	if err := r.Drain(t.Context(), "chat", "n2", 0); err != nil {
		t.Fatal(err)
	}
	r.Configure(chat("n1"))
	r.Configure(chat("n1", "n2"))
	if got := <-said; !strings.HasPrefix(got, "drain n2 it gets no new sessions: an operator has drained it at ") {
		t.Error(got)
	}
	r.Configure(chat("n1", "n2", "n3"))
	if len(said) > 0 {
		t.Errorf("said again: %s", <-said)
	}
}

// An operator who takes back a drain that the node itself asks for is told that nothing has changed.
func TestUndrainOfANodeThatAsksForIt(t *testing.T) {
	t.Parallel()
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Sidway", "drain") }))
	defer page.Close()
	r := start(t, nil, "n1")
	cfg := chat("n1")
	cfg.Nodes = append(cfg.Nodes, config.Node{Name: "n2", URL: page.URL, Weight: 1})
	cfg.Health = &config.Health{Path: "/", Status: 200, Interval: time.Second, Timeout: time.Second, Rise: 1, Fall: 100}
	r.Configure(cfg)
	affinitytest.Eventually(t, "the node asks for its drain", func() bool { return strings.Contains(r.names(), "-n2") })
	if err := r.Undrain(t.Context(), "chat", "n2"); err != nil {
		t.Fatal(err)
	}
	if said := fmt.Sprint(drained(r)); !strings.Contains(said, "the node itself asks for one") || !strings.Contains(r.names(), "-n2") {
		t.Errorf("%s, said %s", r.names(), said)
	}
}
