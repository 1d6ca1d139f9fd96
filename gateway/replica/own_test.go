package replica_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/replica"
)

// TestANodeIsNotSidwayItself has nodes whose addresses are those that sidway listens on.
func TestANodeIsNotSidwayItself(t *testing.T) {
	for _, c := range []struct {
		listen, node string
		own          bool
	}{
		{"127.0.0.1", "127.0.0.1", true},
		{"127.0.0.1", "localhost", true},
		{"0.0.0.0", "127.0.0.1", true},
		{"", "127.0.0.1", true},
		{"", "[::1]", true},
		{"", "localhost", true},
		{"127.0.0.1", "127.0.0.2", false},
		{"0.0.0.0", "192.0.2.7", false},
		{"0.0.0.0", "[::1]", true}, // Go listens on :: then
	} {
		r, port, err := withItselfAsNode(t, c.listen, c.node)
		want := "clusters: node self of chat: http://" + c.node + ":" + port + " is an address of sidway itself"
		if err == nil {
			r.Run(stopped(t))
		}
		if c.own != (err != nil) || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v: %v", c, err)
		}
	}
}

// withItselfAsNode makes a replica that listens on a free port of this host and has a node on that port of another one.
func withItselfAsNode(t *testing.T, listen, node string) (r *replica.Replica, port string, err error) {
	t.Helper()
	cfg := settings(engineiotest.Start(t, engineiotest.Options{}))
	cfg.Clusters[0].Nodes = append(cfg.Clusters[0].Nodes, config.Node{Name: "self", Weight: 1})
	for end := time.Now().Add(patience); ; {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ = net.SplitHostPort(free.Addr().String())
		free.Close()
		cfg.Listen = []config.Listener{{Address: listen + ":" + port}}
		cfg.Clusters[0].Nodes[1].URL = "http://" + node + ":" + port
		// Another process may have taken the port meanwhile.
		if r, err = replica.New(cfg, slog.New(slog.DiscardHandler)); !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(end) {
			return r, port, err
		}
	}
}

// stopped returns a context that is done.
func stopped(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// TestTheAPITakesNoNodeThatIsSidwayItself has operators put what a file must not say either.
func TestTheAPITakesNoNodeThatIsSidwayItself(t *testing.T) {
	r := start(t, settings(engineiotest.Start(t, engineiotest.Options{})))
	for _, own := range []net.Addr{r.Addrs()[0], r.AdminAddr()} {
		status, text := call(t, r, "PUT", "/api/clusters/chat/nodes/n9", `{"url":"http://`+own.String()+`"}`)
		if status != 400 || !strings.Contains(text, "node n9 of chat: http://"+own.String()+" is an address of sidway itself; write where the Socket.IO server listens") {
			t.Errorf("%d %s", status, text)
		}
	}
	if status, _ := call(t, r, "GET", "/api/clusters/chat/nodes/n9", ""); status != 404 {
		t.Errorf("the node is there: %d", status)
	}
}
