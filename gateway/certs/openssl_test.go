package certs_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/keyfile/keyfiletest"
)

// openssl runs s_client against addr until the server closes or the input ends, and returns what it printed.
func openssl(t *testing.T, addr, input string, args ...string) (out string, ok bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, "openssl", append([]string{"s_client", "-connect", addr}, args...)...)
	c.Stdin = strings.NewReader(input)
	b, err := c.CombinedOutput()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatalf("openssl s_client (Debian: apt-get install openssl): %v", err)
	}
	return string(bytes.ToValidUTF8(b, nil)), err == nil
}

// OpenSSL asks for what crypto/tls cannot: ciphers that it does not have, old versions with all that weakens them, early data, renegotiation.
func TestOpenSSL(t *testing.T) {
	t.Parallel()
	dir, a := t.TempDir(), keyfiletest.NewAuthority(t, "a")
	ec := files(t, dir, "ec", a.Issue(t, keyfiletest.Request{Names: []string{"a.example.com"}}))
	rsa := files(t, dir, "rsa", a.Issue(t, keyfiletest.Request{Names: []string{"a.example.com"}, RSA: true}))
	s := serve(t, config.TLS{Certificates: []config.Certificate{ec, rsa}, MinVersion: "1.2"}, byHand)
	asks := func(args ...string) (string, bool) {
		t.Helper()
		return openssl(t, s.addr, "", args...)
	}

	weak := "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
	for _, old := range []string{"-tls1", "-tls1_1"} {
		if out, ok := asks(old, "-cipher", weak); ok || !strings.Contains(out, "protocol version") {
			t.Errorf("%s:\n%s", old, out)
		}
	}
	for _, spoken := range []struct{ flag, version string }{{"-tls1_2", "TLSv1.2"}, {"-tls1_3", "TLSv1.3"}} {
		if out, ok := asks(spoken.flag); !ok || !strings.Contains(out, "New, "+spoken.version) {
			t.Errorf("%s:\n%s", spoken.flag, out)
		}
	}
	checkOffer(t, s.addr)
	for _, spoken := range []string{"-tls1_2", "-tls1_3"} {
		if out, _ := asks(spoken, "-servername", "stranger.example.org", "-alpn", "h2,http/1.1"); !strings.Contains(out, "ALPN protocol: http/1.1") {
			t.Errorf("%s with an unknown name:\n%s", spoken, out)
		}
		if out, _ := asks(spoken, "-alpn", "h2"); !strings.Contains(out, "no application protocol") {
			t.Errorf("%s with HTTP/2 alone:\n%s", spoken, out)
		}
	}
	if out, _ := asks("-tls1_2"); !strings.Contains(out, "Compression: NONE") || !strings.Contains(out, "Extended master secret: yes") {
		t.Errorf("compression, or no extended master secret:\n%s", out)
	}
	checkNoEarlyData(t, s.addr, dir)
}

// checkOffer asks for each cipher of TLS 1.2 that OpenSSL has by itself. What is served has ephemeral keys of curves, and is neither RC4 nor 3DES.
func checkOffer(t *testing.T, addr string) {
	t.Helper()
	list, err := exec.CommandContext(t.Context(), "openssl", "ciphers", "-tls1_2", "-s", "ALL:COMPLEMENTOFALL:@SECLEVEL=0").Output()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{
		"ECDHE-ECDSA-AES128-GCM-SHA256": true, "ECDHE-ECDSA-AES256-GCM-SHA384": true, "ECDHE-ECDSA-CHACHA20-POLY1305": true,
		"ECDHE-RSA-AES128-GCM-SHA256": true, "ECDHE-RSA-AES256-GCM-SHA384": true, "ECDHE-RSA-CHACHA20-POLY1305": true,
		"ECDHE-ECDSA-AES128-SHA": true, "ECDHE-ECDSA-AES256-SHA": true, "ECDHE-RSA-AES128-SHA": true, "ECDHE-RSA-AES256-SHA": true,
	}
	offered := 0
	for cipher := range strings.SplitSeq(strings.TrimSpace(string(list)), ":") {
		_, ok := openssl(t, addr, "", "-tls1_2", "-cipher", cipher+":@SECLEVEL=0")
		if ok != want[cipher] {
			t.Errorf("%s is served: %v", cipher, ok)
		}
		if ok {
			offered++
		}
	}
	if offered != len(want) {
		t.Errorf("%d of %d ciphers were asked for and served", offered, len(want))
	}
}

// checkNoEarlyData comes again with a ticket, which must not let a request in before the handshake is over: whoever repeats the
// bytes would repeat the request.
func checkNoEarlyData(t *testing.T, addr, dir string) {
	t.Helper()
	ticket, early := filepath.Join(dir, "ticket"), keyfiletest.File(t, dir, "early", []byte("GET / HTTP/1.1\r\n\r\n"))
	// -ign_eof: tickets come behind the handshake.
	if out, _ := openssl(t, addr, "", "-tls1_3", "-ign_eof", "-sess_out", ticket); !strings.Contains(out, "Max Early Data: 0") {
		t.Errorf("the first handshake:\n%s", out)
	}
	if _, err := os.Stat(ticket); err != nil {
		t.Fatal(err)
	}
	out, _ := openssl(t, addr, "", "-tls1_3", "-ign_eof", "-sess_in", ticket, "-early_data", early)
	if !strings.Contains(out, "Reused, TLSv1.3") || strings.Contains(out, "Early data was accepted") || !strings.Contains(out, "Early data was") {
		t.Errorf("a handshake with early data:\n%s", out)
	}
}
