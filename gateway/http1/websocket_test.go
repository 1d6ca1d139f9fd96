package http1_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/http1"
)

const (
	socketKey    = "dGhlIHNhbXBsZSBub25jZQ==" // RFC 6455 section 1.3
	socketAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
	upgrade      = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + socketKey + "\r\n\r\n"
	switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Accept: " + socketAccept + "\r\n\r\n"
)

func TestAcceptKey(t *testing.T) {
	if got := http1.AcceptKey(socketKey); string(got[:]) != socketAccept {
		t.Errorf("got %s", got)
	}
}

func TestUpgradeRequest(t *testing.T) {
	if err := parse(t, upgrade).CheckWebSocket(); err != nil {
		t.Fatal(err)
	}
	change := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(upgrade) }
	for _, good := range []string{
		change("Host: h\r\n", "Host: h\r\nContent-Length: 0\r\n"),
		change("keep-alive, Upgrade", "UPGRADE"),
		change("Connection: keep-alive, Upgrade", "Connection: keep-alive\r\nConnection: upgrade"),
		change("Host: h\r\n", "Host: h\r\nSec-WebSocket-Protocol: a\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"),
	} {
		if err := parse(t, good).CheckWebSocket(); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for name, bad := range map[string]string{
		"POST":                  change("GET", "POST"),
		"HEAD":                  change("GET", "HEAD"),
		"get":                   change("GET", "get"),
		"HTTP/1.0":              change("HTTP/1.1", "HTTP/1.0"),
		"no Connection":         change("Connection: keep-alive, Upgrade\r\n", ""),
		"no upgrade in it":      change("keep-alive, Upgrade", "keep-alive"),
		"almost upgrade in it":  change("keep-alive, Upgrade", "keep-alive, upgraded"),
		"no Upgrade":            change("Upgrade: WebSocket\r\n", ""),
		"h2c":                   change("Upgrade: WebSocket", "Upgrade: h2c"),
		"websocket and h2c":     change("Upgrade: WebSocket", "Upgrade: websocket, h2c"),
		"two Upgrades":          change("Upgrade: WebSocket", "Upgrade: websocket\r\nUpgrade: websocket"),
		"with a version":        change("Upgrade: WebSocket", "Upgrade: websocket/13"),
		"no version":            change("Sec-WebSocket-Version: 13\r\n", ""),
		"version 8":             change(": 13", ": 8"),
		"versions":              change(": 13", ": 13, 8"),
		"two versions":          change("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13"),
		"no key":                change("Sec-WebSocket-Key: "+socketKey+"\r\n", ""),
		"empty key":             change(socketKey, ""),
		"15 bytes":              change(socketKey, "AAAAAAAAAAAAAAAAAAAA"),
		"17 bytes":              change(socketKey, "AAAAAAAAAAAAAAAAAAAAAAA="),
		"18 bytes":              change(socketKey, "AAAAAAAAAAAAAAAAAAAAAAAA"),
		"not base64":            change(socketKey, "dGhlIHNhbXBsZSBub25jZ-=="),
		"key in two pieces":     change(socketKey, "dGhlIHNhbXBs ZSBub25jZQ="),
		"two keys":              change("Sec-WebSocket-Key", "Sec-WebSocket-Key: "+socketKey+"\r\nSec-WebSocket-Key"),
		"a body":                change("Host: h\r\n", "Host: h\r\nContent-Length: 1\r\n"),
		"a chunked body":        change("Host: h\r\n", "Host: h\r\nTransfer-Encoding: chunked\r\n"),
		"key with an empty one": change("Sec-WebSocket-Key", "Sec-WebSocket-Key:\r\nSec-WebSocket-Key"),
	} {
		var e *http1.Error
		if err := parse(t, bad).CheckWebSocket(); !errors.As(err, &e) || e.Status != 400 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUpgradeFlags(t *testing.T) {
	for in, want := range map[string][2]bool{
		upgrade:                             {true, true},
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n": {},
		"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\n\r\n":                                     {},
		"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n":                                      {true, false},
		"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n":                     {true, false},
		"GET / HTTP/1.0\r\nHost: h\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n":               {},
		"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n": {true, false},
	} {
		if q := parse(t, in); q.Upgrade != want[0] || q.WebSocket != want[1] {
			t.Errorf("%q: upgrade %v, websocket %v", in, q.Upgrade, q.WebSocket)
		}
	}
}

func TestUpgradeAnswer(t *testing.T) {
	q := parse(t, upgrade)
	if err := respond(t, "GET", switched).CheckSwitch(q); err != nil {
		t.Fatal(err)
	}
	change := func(old, with string) string { return strings.Replace(switched, old, with, 1) }
	for name, bad := range map[string]string{
		"200":            answered("Content-Length: 0", ""),
		"426":            change("101", "426"),
		"no accept":      change("Sec-WebSocket-Accept: "+socketAccept+"\r\n", ""),
		"another accept": change("s3p", "S3p"),
		"longer accept":  change("xOo=", "xOo=="),
		"two accepts":    change("Sec-WebSocket-Accept", "Sec-WebSocket-Accept: "+socketAccept+"\r\nSec-WebSocket-Accept"),
		"h2c":            change("Upgrade: websocket", "Upgrade: h2c"),
		"two protocols":  change("Upgrade: websocket", "Upgrade: websocket, h2c"),
		"no Upgrade":     change("Upgrade: websocket\r\n", ""),
		"no Connection":  change("Connection: upgrade\r\n", ""),
		"HTTP/1.0":       change("HTTP/1.1", "HTTP/1.0"),
	} {
		var e *http1.Error
		if err := respond(t, "GET", bad).CheckSwitch(q); !errors.As(err, &e) || e.Status != 502 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBytesBehindASwitchAreKept(t *testing.T) {
	near, far := tcpPair(t)
	send(t, far, switched+"\x81\x02hi")
	r := http1.NewReader(near)
	var p http1.Response
	if err := r.Response(&p, "GET"); err != nil {
		t.Fatal(err)
	}
	if got := string(r.Buffered()); got != "\x81\x02hi" {
		t.Fatalf("buffered %q", got)
	}
}
