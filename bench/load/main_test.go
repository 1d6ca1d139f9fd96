//go:build linux

package load_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/sidway/sidway/bench/load"
	"github.com/sidway/sidway/bench/node"
)

// Load and node keep their processors while they wait, so the tests need more of them than there are.
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(10)
	goleak.VerifyTestMain(m)
}

// fakeNodes are nodes until stop, which the test's end calls too.
type fakeNodes struct {
	addrs   []string
	control string
	stop    func()
}

func startNodes(t *testing.T, count int) *fakeNodes {
	t.Helper()
	n, err := node.Open(strings.Fields(strings.Repeat("127.0.0.1:0 ", count)), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addrs, err := n.Addrs()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := n.Run(ctx); err != nil {
			t.Error(err)
		}
		n.Close()
	}()
	f := &fakeNodes{addrs: addrs[:count], control: addrs[count], stop: func() { cancel(); <-ended }}
	t.Cleanup(f.stop)
	return f
}

func (f *fakeNodes) stats(t *testing.T) node.Stats {
	t.Helper()
	c, err := net.Dial("tcp", f.control)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := fmt.Fprintln(c, "stats"); err != nil {
		t.Fatal(err)
	}
	var s node.Stats
	if err := json.NewDecoder(c).Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

// run does the job; during is called when its window has begun, atEnd while its connections still stand.
func run(t *testing.T, j load.Job, during, atEnd func()) load.Result {
	t.Helper()
	jobs, stdin := io.Pipe()
	results, stdout := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := load.Main(jobs, stdout)
		stdout.CloseWithError(err)
		jobs.Close()
		ended <- err
	}()
	defer func() {
		stdin.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	if err := json.NewEncoder(stdin).Encode(j); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(results)
	if line, err := in.ReadString('\n'); err != nil || line != `{"ready":true}`+"\n" {
		t.Fatalf("%q %v", line, err)
	}
	if _, err := io.WriteString(stdin, "go\n"); err != nil {
		t.Fatal(err)
	}
	if during != nil {
		during()
	}
	var r load.Result
	line, err := in.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	if atEnd != nil {
		atEnd()
	}
	return r
}
