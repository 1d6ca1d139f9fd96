package wire_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"testing"
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
	return unpackJSON(answer.Value)
}

func packJSON(v any) any {
	switch v := v.(type) {
	case []byte:
		return map[string]any{"$bin": base64.StdEncoding.EncodeToString(v)}
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = packJSON(e)
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[k] = packJSON(e)
		}
		return m
	}
	return v
}

func unpackJSON(v any) any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		for i, e := range v {
			v[i] = unpackJSON(e)
		}
		return v
	case map[string]any:
		if s, ok := v["$bin"].(string); ok {
			b, _ := base64.StdEncoding.DecodeString(s)
			return b
		}
		for k, e := range v {
			v[k] = unpackJSON(e)
		}
	}
	return v
}
