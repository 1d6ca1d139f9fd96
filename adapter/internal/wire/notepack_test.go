package wire_test

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/sidway/sidway/adapter/internal/binjson"
)

// notepack is a process with the codec of Node's adapters.
type notepack struct {
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Scanner
}

func startNotepack(t *testing.T) *notepack {
	t.Helper()
	cmd := exec.Command("node", "testdata/notepack.mjs")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("this test needs the program node: %v", err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	n := &notepack{t: t, in: in, out: bufio.NewScanner(out)}
	n.out.Buffer(nil, 64<<20)
	return n
}

// ask returns the answer to one line.
func (n *notepack) ask(what map[string]any) any {
	n.t.Helper()
	b, err := json.Marshal(what)
	if err != nil {
		n.t.Fatal(err)
	}
	if _, err := n.in.Write(append(b, '\n')); err != nil {
		n.t.Fatal(err)
	}
	if !n.out.Scan() {
		n.t.Fatalf("notepack ended: %v", n.out.Err())
	}
	var answer struct {
		Value any
		Error string
	}
	if err := json.Unmarshal(n.out.Bytes(), &answer); err != nil || answer.Error != "" {
		n.t.Fatalf("notepack: %s %v", answer.Error, err)
	}
	return binjson.Unpack(answer.Value)
}
