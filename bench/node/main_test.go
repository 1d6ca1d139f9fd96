//go:build linux

package node_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/sidway/sidway/bench/node"
)

// A node keeps its processor while it waits, so the tests need more of them than they have nodes.
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(4)
	goleak.VerifyTestMain(m)
}

// start runs count nodes until the test ends and returns their addresses and the control port's.
func start(t *testing.T, count int) (addrs []string, control string) {
	t.Helper()
	listen := make([]string, count)
	for i := range listen {
		listen[i] = "127.0.0.1:0"
	}
	n, err := node.Open(listen, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		n.Close()
	})
	addrs, err = n.Addrs()
	if err != nil {
		t.Fatal(err)
	}
	return addrs[:count], addrs[count]
}

// dial returns a connection that the test closes.
func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// command has the nodes do something and returns their answer.
func command(t *testing.T, control, line string) string {
	t.Helper()
	c := dial(t, control)
	if _, err := fmt.Fprintln(c, line); err != nil {
		t.Fatal(err)
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(answer)
}
