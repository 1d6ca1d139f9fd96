package proxyheader_test

import (
	"bufio"
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"

	"github.com/sidway/sidway/gateway/proxyheader"
)

const signature = "\r\n\r\n\x00\r\nQUIT\n"

// v2 is a header of version 2 with this command and family, and these bytes behind the length.
func v2(command, family byte, rest string) string {
	return signature + string([]byte{command, family, byte(len(rest) >> 8), byte(len(rest))}) + rest
}

const (
	four = "\x09\x09\x09\x09\x0a\x00\x00\x01\x30\x39\x01\xbb"
	six  = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x08\x30\x39\x01\xbb"
	tls  = "\x20\x00\x05\x01\x00\x00\x00\x00" // an SSL field of a client that speaks TLS
)

func TestHeaders(t *testing.T) {
	for name, c := range map[string]struct {
		header, from, to string
		secure           bool
	}{
		"v1":                        {header: "PROXY TCP4 9.9.9.9 10.0.0.1 12345 443\r\n", from: "9.9.9.9:12345", to: "10.0.0.1:443"},
		"v1, IPv6":                  {header: "PROXY TCP6 2001:db8::7 2001:db8::8 12345 443\r\n", from: "[2001:db8::7]:12345", to: "[2001:db8::8]:443"},
		"v1, mapped":                {header: "PROXY TCP6 ::ffff:9.9.9.9 2001:db8::8 1 2\r\n", from: "9.9.9.9:1", to: "[2001:db8::8]:2"},
		"v1, unknown":               {header: "PROXY UNKNOWN\r\n"},
		"v1, unknown, longer":       {header: "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"},
		"v2":                        {header: v2(0x21, 0x11, four), from: "9.9.9.9:12345", to: "10.0.0.1:443"},
		"v2, IPv6":                  {header: v2(0x21, 0x21, six), from: "[2001:db8::7]:12345", to: "[2001:db8::8]:443"},
		"v2, local":                 {header: v2(0x20, 0x00, "")},
		"v2, local, with addresses": {header: v2(0x20, 0x11, four)},
		"v2, Unix":                  {header: v2(0x21, 0x31, strings.Repeat("\x00", 216))},
		"v2, TLS":                   {header: v2(0x21, 0x11, four+tls), from: "9.9.9.9:12345", to: "10.0.0.1:443", secure: true},
		"v2, no TLS":                {header: v2(0x21, 0x11, four+"\x20\x00\x05\x00\x00\x00\x00\x00"), from: "9.9.9.9:12345", to: "10.0.0.1:443"},
		"v2, longest":               {header: v2(0x21, 0x11, four+"\x04\x0f\xf1"+strings.Repeat("\x00", 4096-15)), from: "9.9.9.9:12345", to: "10.0.0.1:443"},
	} {
		behind := c.header + "GET / HTTP/1.1\r\n"
		for n := range c.header {
			if size, err := proxyheader.Size([]byte(behind[:n])); size != 0 || err != nil {
				t.Fatalf("%s, of %d bytes: %d %v", name, n, size, err)
			}
		}
		n, err := proxyheader.Size([]byte(behind))
		if n != len(c.header) || err != nil {
			t.Errorf("%s: %d bytes, %v", name, n, err)
			continue
		}
		h, err := proxyheader.Parse([]byte(behind[:n]))
		if err != nil || text(h.From) != c.from || text(h.To) != c.to || h.Secure != c.secure {
			t.Errorf("%s: %+v %v", name, h, err)
		}
	}
}

func text(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// What is no header is known as soon as it can be, and what is a bad one when it is whole.
func TestBadHeaders(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want error // of Size; nil: Parse refuses it
	}{
		"HTTP":                {"G", proxyheader.ErrNone},
		"TLS":                 {"\x16\x03\x01", proxyheader.ErrNone},
		"nearly":              {"PROXI", proxyheader.ErrNone},
		"v1, no end":          {"PROXY " + strings.Repeat("x", 101), proxyheader.ErrTooLong},
		"v2, oversized":       {signature + "\x21\x11\x10\x01", proxyheader.ErrTooLong},
		"v1, bare line feed":  {"PROXY TCP4 9.9.9.9 10.0.0.1 1 2\n", nil},
		"v1, address":         {"PROXY TCP4 9.9.9.999 10.0.0.1 1 2\r\n", nil},
		"v1, zone":            {"PROXY TCP6 fe80::1%eth0 fe80::2 1 2\r\n", nil},
		"v1, port":            {"PROXY TCP4 9.9.9.9 10.0.0.1 1 65536\r\n", nil},
		"v1, family":          {"PROXY UDP4 9.9.9.9 10.0.0.1 1 2\r\n", nil},
		"v1, small letters":   {"PROXY tcp4 9.9.9.9 10.0.0.1 1 2\r\n", nil},
		"v2, version":         {v2(0x11, 0x11, four), nil},
		"v2, command":         {v2(0x22, 0x11, four), nil},
		"v2, family":          {v2(0x21, 0x13, four), nil},
		"v2, too short":       {v2(0x21, 0x21, four), nil},
		"v2, field that ends": {v2(0x21, 0x11, four+"\x04\x00\x09x"), nil},
	} {
		n, err := proxyheader.Size([]byte(c.text))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: Size: %d %v", name, n, err)
		}
		if c.want != nil {
			continue
		}
		if h, err := proxyheader.Parse([]byte(c.text)[:n]); err == nil {
			t.Errorf("%s: %+v", name, h)
		}
	}
}

// What Append writes, Parse reads.
func TestAppend(t *testing.T) {
	four, other, six := netip.MustParseAddrPort("9.9.9.9:12345"), netip.MustParseAddrPort("10.0.0.1:443"), netip.MustParseAddrPort("[2001:db8::7]:80")
	for _, c := range []struct {
		from, to netip.AddrPort
		v1       string
	}{
		{four, other, "PROXY TCP4 9.9.9.9 10.0.0.1 12345 443\r\n"},
		{six, six, "PROXY TCP6 2001:db8::7 2001:db8::7 80 80\r\n"},
		{four, six, "PROXY TCP6 ::ffff:9.9.9.9 2001:db8::7 12345 80\r\n"},
		{netip.AddrPort{}, four, "PROXY UNKNOWN\r\n"},
		{four, netip.AddrPort{}, "PROXY UNKNOWN\r\n"},
	} {
		if got := string(proxyheader.Append([]byte("x"), 1, c.from, c.to)); got != "x"+c.v1 {
			t.Errorf("got %q, want %q", got, c.v1)
		}
		b := proxyheader.Append(nil, 2, c.from, c.to)
		n, err := proxyheader.Size(b)
		h, failed := proxyheader.Parse(b)
		if n != len(b) || err != nil || failed != nil || c.from.IsValid() && c.to.IsValid() && (h.From != c.from || h.To != c.to) {
			t.Errorf("%q is %+v, %v %v", b, h, err, failed)
		}
		if strings.Contains(c.v1, "UNKNOWN") && string(b) != signature+"\x20\x00\x00\x00" {
			t.Errorf("%q is not LOCAL", b)
		}
	}
}

// FuzzHeader holds Size and Parse to each other, and to the library as it reads a connection.
func FuzzHeader(f *testing.F) {
	for _, seed := range []string{
		"PROXY TCP4 9.9.9.9 10.0.0.1 12345 443\r\nGET", "PROXY UNKNOWN\r\n", "PROXY TCP6 ::1 ::ffff:1.2.3.4 0 1\r\n",
		v2(0x21, 0x11, four+tls) + "GET", v2(0x21, 0x21, six), v2(0x20, 0, ""), v2(0x20, 0x11, "x"), v2(0x21, 0x31, ""), "GET / HTTP/1.1\r\n", "P", "\r",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := proxyheader.Size(b)
		if n < 0 || n > len(b) || n > proxyheader.Most || err != nil && n != 0 {
			t.Fatalf("%d of %d bytes, %v", n, len(b), err)
		}
		if n == 0 {
			return
		}
		for i := range n {
			if early, err := proxyheader.Size(b[:i]); early != 0 || err != nil {
				t.Fatalf("%d of %d bytes: %d %v", i, n, early, err)
			}
		}
		h, err := proxyheader.Parse(b[:n])
		r := bufio.NewReaderSize(bytes.NewReader(b), max(16, len(b)))
		p, failed := proxyproto.Read(r)
		if err == nil && (failed != nil || len(b)-r.Buffered() != n) {
			t.Fatalf("%d bytes were read as %+v, the library read %d: %v", n, h, len(b)-r.Buffered(), failed)
		}
		if err == nil && h.From.IsValid() && (p.Command.IsLocal() || !h.To.IsValid()) {
			t.Fatalf("%+v of %+v", h, p)
		}
	})
}
