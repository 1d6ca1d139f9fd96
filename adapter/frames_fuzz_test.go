package adapter_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidway/sidway/adapter"
	"github.com/zishang520/socket.io/v2/socket"
)

// pipes is a listener of connections in memory: a fuzz opens more than a machine has ports for.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// FuzzFrames sends frames and payloads to a hardened server in this process, which dies with the first that the library
// does not survive. The first byte says how: as text or binary frames of EIO 4 or 3, or as a POST.
func FuzzFrames(f *testing.F) {
	for mode := range byte(6) {
		for _, s := range []string{
			"42", "42[\"x\"]", "450-", "451-[\"x\",{\"_placeholder\":true,\"num\":0}]\n\x00bin", "430", "40/chat,{}\n42/chat,[\"x\"]", "41", "3",
			"2probe\n5", "1", "40\x1e42[\"seq\",1]", "5:42[1]", "\x00\x02\xff42", "40{\"pid\":\"x\",\"offset\":\"y\"}",
		} {
			f.Add(append([]byte{mode}, s...))
		}
	}
	opts := socket.DefaultServerOptions()
	opts.SetAllowEIO3(true)
	opts.SetMaxHttpBufferSize(1 << 16)
	adapter.Harden(opts)
	server := socket.NewServer(nil, opts)
	_ = server.Of("/chat", nil)
	_ = server.On("connection", func(args ...any) {
		s := args[0].(*socket.Socket)
		_ = s.On("x", func(args ...any) {
			if len(args) > 0 {
				if ack, ok := args[len(args)-1].(socket.Ack); ok {
					ack(args[:len(args)-1], nil)
				}
			}
		})
	})
	ln := newPipes()
	h := &http.Server{Handler: adapter.Handler(server), ReadHeaderTimeout: time.Minute}
	go func() { _ = h.Serve(ln) }()
	f.Cleanup(func() {
		server.Close(nil)
		_ = h.Close()
	})
	client := &http.Client{Transport: &http.Transport{DialContext: ln.dial, DisableKeepAlives: true}, Timeout: patienceLimit}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 || len(b) > 4096 {
			return
		}
		mode, data := b[0]%6, b[1:]
		var err error
		if mode < 4 {
			err = fuzzSocket(ln, 4-int(mode/2), 1+mode%2, data)
		} else {
			err = fuzzPost(client, 8-int(mode), data)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
}

// fuzzSocket sends data, split at line ends, as frames behind the handshake and the connection.
func fuzzSocket(ln *pipes, eio int, opcode byte, data []byte) error {
	c, err := ln.dial(context.Background(), "", "")
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patienceLimit))
	if _, err := fmt.Fprintf(c, upgradeHead, eio, ""); err != nil {
		return err
	}
	r := bufio.NewReader(c)
	answer, err := http.ReadResponse(r, nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("handshake: %v %w", answer, err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(io.Discard, r)
	}()
	frames := [][]byte{maskedFrame(1, "40")}
	for part := range bytes.SplitSeq(data, []byte{'\n'}) {
		frames = append(frames, maskedFrame(opcode, string(part)))
	}
	for _, frame := range append(frames, maskedFrame(8, "\x03\xe8")) {
		if _, err := c.Write(frame); err != nil {
			break // the server has had enough
		}
	}
	_ = c.Close()
	<-read
	return nil
}

// fuzzPost sends data as the payload of a polling session.
func fuzzPost(client *http.Client, eio int, data []byte) error {
	url := fmt.Sprintf("http://x/socket.io/?EIO=%d&transport=polling&b64=1", eio)
	a, err := client.Get(url)
	if err != nil {
		return err
	}
	b, err := io.ReadAll(a.Body)
	_ = a.Body.Close()
	_, rest, ok := strings.Cut(string(b), `"sid":"`)
	if err != nil || !ok {
		return fmt.Errorf("handshake: %q %w", b, errors.Join(err))
	}
	sid, _, _ := strings.Cut(rest, `"`)
	for _, kind := range []string{"text/plain", "application/octet-stream"} {
		a, err := client.Post(url+"&sid="+sid, kind, bytes.NewReader(data))
		if err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, a.Body)
		_ = a.Body.Close()
	}
	a, err = client.Post(url+"&sid="+sid, "text/plain", strings.NewReader(map[bool]string{true: "1", false: "1:1"}[eio == 4]))
	if err != nil {
		return err
	}
	return a.Body.Close()
}
