package http1_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/http1"
)

// echo answers each request of a connection with its body, as chunks, until the client closes.
func echo(c net.Conn) error {
	defer c.Close()
	r := http1.NewReader(c)
	var q http1.Request
	for {
		if err := r.Request(&q, wait, wait); err != nil {
			return err
		}
		if q.Expect100 {
			if _, err := c.Write(append(http1.AppendStatus(nil, 100, ""), '\r', '\n')); err != nil {
				return err
			}
		}
		out := http1.AppendStatus(nil, 200, "")
		out = http1.AppendField(out, "Transfer-Encoding", "chunked")
		out = append(out, '\r', '\n')
		for body := r.RequestBody(&q); !body.Done(); {
			piece, err := body.Next()
			if err != nil && err != io.EOF {
				return err
			}
			if _, err := c.Write(http1.AppendChunk(out, piece)); err != nil {
				return err
			}
			out = out[:0]
		}
		if _, err := c.Write(http1.AppendLastChunk(out)); err != nil {
			return err
		}
	}
}

// TestNetHTTPClient has the client of net/http send bodies of known and of unknown length over kept connections.
func TestNetHTTPClient(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var server sync.WaitGroup
	server.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed below
			}
			server.Go(func() {
				if err := echo(c); err != io.EOF && !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
			})
		}
	})
	transport := &http.Transport{ExpectContinueTimeout: wait, DisableCompression: true}
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	for _, size := range []int{0, 1, 4095, 4096, 100_000, 1_000_000} {
		sent := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
		for _, body := range []io.Reader{bytes.NewReader(sent), io.MultiReader(bytes.NewReader(sent))} {
			for _, expect := range []string{"", "100-continue"} {
				q, err := http.NewRequest("POST", "http://"+l.Addr().String()+"/", body)
				if err != nil {
					t.Fatal(err)
				}
				q.Header["Expect"] = strings.Fields(expect)
				checkEcho(t, client, q, sent)
				body = bytes.NewReader(sent)
			}
		}
	}
	transport.CloseIdleConnections()
	l.Close()
	server.Wait()
}

func checkEcho(t *testing.T, client *http.Client, q *http.Request, sent []byte) {
	t.Helper()
	answer, err := client.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if got, err := io.ReadAll(answer.Body); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("sent %d bytes, got %d back, %v", len(sent), len(got), err)
	}
}
