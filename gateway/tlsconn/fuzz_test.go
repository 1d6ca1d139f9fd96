//go:build unix

package tlsconn_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"testing"
)

// cutting writes in pieces of these lengths, one after the other and again, 0 meaning 256.
type cutting struct {
	net.Conn
	cuts []byte
	next int
}

func (c *cutting) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		size := len(b)
		if len(c.cuts) > 0 {
			size = int(c.cuts[c.next%len(c.cuts)])
			c.next++
		}
		if size == 0 {
			size = 256
		}
		var m int
		m, err = c.Conn.Write(b[n:min(len(b), n+size)])
		n += m
	}
	return n, err
}

// FuzzCuts holds that what a peer sends by TLS arrives as it was sent, wherever the network cuts its handshake and records, and that
// bytes behind it that are no TLS end the connection.
func FuzzCuts(f *testing.F) {
	for _, cuts := range []string{"", "\x00", "\x01\x05\x03", "\xff\x01", "\x05\x12\x00"} {
		f.Add([]byte("hello"), []byte(cuts), []byte("GET / HTTP/1.1\r\n\r\n"), true)
		f.Add(bytes.Repeat([]byte("0123456789"), 4000), []byte(cuts), []byte{23, 3, 3, 0, 1, 0}, false)
		f.Add([]byte{}, []byte(cuts), []byte{21, 3, 3, 0, 2, 1, 0}, true)
		f.Add([]byte("x"), []byte(cuts), []byte{}, false)
	}
	server13, client13 := configs(f, tls.VersionTLS13)
	server12, client12 := configs(f, tls.VersionTLS12)
	f.Fuzz(func(t *testing.T, data, cuts, junk []byte, newest bool) {
		server, client := server12, client12
		if newest {
			server, client = server13, client13
		}
		r := start(t, server, nil)
		c := tls.Client(&cutting{Conn: r.peer, cuts: cuts}, client)
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		sent := make(chan error, 1)
		go func() {
			_, err := c.Write(data)
			sent <- err
		}()
		got := make([]byte, len(data))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%d bytes came back otherwise: %v", len(data), err)
		}
		if err := await(t, sent); err != nil {
			t.Fatal(err)
		}
		_, _ = r.peer.Write(junk) // which the loop's side may have closed before all is written
		_ = r.peer.(*net.TCPConn).CloseWrite()
		if err := await(t, r.ended); err == nil {
			t.Error("it ended without an error")
		}
	})
}
