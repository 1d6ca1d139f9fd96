package gateway_test

import (
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sidway/sidway/gateway"
)

// modem dials as over a line with usual segments, and with little room where it ends.
var modem = net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 64<<10)
		unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, 1460)
	})
}}

// A client that reads slowly is not one that takes nothing, however much its system and ours could keep for it.
func TestSlowReaderIsNotCut(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 12<<20)
	node := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		if r.Header.Get("Upgrade") != "" {
			c.send(switching(r) + long)
			return
		}
		c.send(answer(200, long))
	})
	s := startGateway(t, withNodes(node), withLimits(func(l *gateway.Limits) { l.WriteTime = 2 * time.Second }))
	for name, ask := range map[string]string{"download": get("/page"), "tunnel": get("/open", asksWebSocket...)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			socket, err := modem.DialContext(t.Context(), "tcp", s.addr)
			if err != nil {
				t.Fatal(err)
			}
			c := clientWire(socket)
			defer c.Close()
			io.WriteString(c, ask)
			for began := time.Now(); time.Since(began) < 6*time.Second; time.Sleep(50 * time.Millisecond) {
				if n, err := io.CopyN(io.Discard, c, 10<<10); err != nil {
					t.Fatalf("cut after %v, %d bytes behind the last: %v", time.Since(began), n, err)
				}
			}
		})
	}
}
