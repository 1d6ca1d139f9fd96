//go:build linux

package relay_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sidway/sidway/bench/relay"
)

// TestMain lets the test's own binary be a relay, which never ends by itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "relay" {
		println(relay.Main(os.Args[2:]).Error())
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// start runs a relay before nodes and returns its address.
func start(t *testing.T, nodes ...net.Listener) string {
	t.Helper()
	free := listen(t)
	c := relay.Config{Listen: free.Addr().String()}
	free.Close()
	for _, n := range nodes {
		c.Nodes = append(c.Nodes, n.Addr().String())
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "relay.json")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "relay", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return c.Listen
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			t.Cleanup(func() { c.Close() })
			return c
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// TestBytesArrive sends much more than sockets hold through a node that sends it back late, so that both ends are full for
// a while, several times at once and on slots that are used again.
func TestBytesArrive(t *testing.T) {
	nodes := []net.Listener{listen(t), listen(t)}
	var echoes sync.WaitGroup
	for _, n := range nodes {
		echoes.Go(func() {
			for {
				c, err := n.Accept()
				if err != nil {
					return
				}
				echoes.Go(func() {
					defer c.Close()
					b := make([]byte, 3000)
					for {
						n, err := c.Read(b)
						if _, failed := c.Write(b[:n]); err != nil || failed != nil {
							return
						}
					}
				})
			}
		})
	}
	defer echoes.Wait()
	defer func() {
		for _, n := range nodes {
			n.Close()
		}
	}()
	address := start(t, nodes...)
	for range 3 {
		var clients sync.WaitGroup
		for i := range 4 {
			c := dial(t, address)
			clients.Go(func() { exchange(t, c, bytes.Repeat([]byte{byte(i), 1, 2, 3, 5, 7, 11}, 1<<20)) })
		}
		clients.Wait()
	}
}

// exchange sends bytes, reads them back only then as fast as they come, and closes.
func exchange(t *testing.T, c net.Conn, b []byte) {
	defer c.Close()
	var sending sync.WaitGroup
	sending.Go(func() {
		if _, err := c.Write(b); err != nil {
			t.Error(err)
		}
	})
	defer sending.Wait()
	sum := sha256.New()
	if _, err := io.CopyN(sum, c, int64(len(b))); err != nil {
		t.Error(err)
	}
	if want := sha256.Sum256(b); !bytes.Equal(sum.Sum(nil), want[:]) {
		t.Error("other bytes came back")
	}
}

func TestEndsArrive(t *testing.T) {
	node := listen(t)
	address := start(t, node)
	client := dial(t, address)
	accepted, err := node.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := accepted.Write([]byte("bye")); err != nil {
		t.Fatal(err)
	}
	accepted.Close()
	if b, err := io.ReadAll(client); string(b) != "bye" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}

func TestConfiguration(t *testing.T) {
	for _, text := range []string{"", "{}", `{"nodes": ["nowhere"]}`, `{"listen": "127.0.0.1:x", "nodes": ["127.0.0.1:1"]}`} {
		file := filepath.Join(t.TempDir(), "relay.json")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := relay.Main([]string{file}); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	if relay.Main(nil) == nil {
		t.Error("no file is enough")
	}
}
