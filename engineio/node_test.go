package engineio_test

import (
	"bufio"
	"encoding/json"
	"os/exec"
	"testing"
)

// reference is Node's own Engine.IO code in a process of its own.
type reference struct {
	t   testing.TB
	in  *json.Encoder
	out *bufio.Reader
}

// startReference needs node and, in the repository's root, npm ci.
func startReference(t testing.TB) *reference {
	cmd := exec.Command("node", "testdata/node.cjs")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatalf("this test needs Node.js and its packages (npm ci): %v", err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	return &reference{t, json.NewEncoder(in), bufio.NewReader(out)}
}

// ask sends a command and decodes its answer.
func (r *reference) ask(command map[string]any, answer any) {
	r.t.Helper()
	if err := r.in.Encode(command); err != nil {
		r.t.Fatal(err)
	}
	line, err := r.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, answer)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// packet is a packet as Node's encoders take it.
type packet struct {
	Type  string `json:"type"`
	Data  string `json:"data,omitempty"`
	Bytes []byte `json:"bytes,omitempty"`
}

// payload is one payload for Node's encoders and decoders.
type payload struct {
	Version int      `json:"version"`
	JSONP   *string  `json:"jsonp,omitempty"`
	Binary  bool     `json:"binary"`
	Client  bool     `json:"client"`
	Packets []packet `json:"packets,omitempty"`
	Body    []byte   `json:"body,omitempty"`
}

// encode returns the bodies that Node makes of the payloads' packets.
func (r *reference) encode(cases []payload) (bodies [][]byte) {
	r.t.Helper()
	r.ask(map[string]any{"cmd": "encode", "cases": cases}, &bodies)
	return bodies
}

// hasClose returns which of the payloads end their session where Node reads them.
func (r *reference) hasClose(cases []payload) (closes []bool) {
	r.t.Helper()
	r.ask(map[string]any{"cmd": "close", "cases": cases}, &closes)
	return closes
}

// harms returns which of the payloads hurt Node's parser where it counts no attachments and looks at no event's name.
func (r *reference) harms(cases []payload) (harms []bool) {
	r.t.Helper()
	r.ask(map[string]any{"cmd": "harms", "cases": cases}, &harms)
	return harms
}

// serve starts a Socket.IO server of Node and returns its port.
func (r *reference) serve(kind string) (port int) {
	r.t.Helper()
	r.ask(map[string]any{"cmd": "serve", "kind": kind}, &port)
	return port
}

// end closes a session at its node.
func (r *reference) end(port int, sid string) {
	r.t.Helper()
	var done bool
	r.ask(map[string]any{"cmd": "end", "port": port, "sid": sid}, &done)
}

// waitForPoll returns when a poll of the session waits at its node.
func (r *reference) waitForPoll(port int, sid string) {
	r.t.Helper()
	var done bool
	r.ask(map[string]any{"cmd": "waitForPoll", "port": port, "sid": sid}, &done)
}
