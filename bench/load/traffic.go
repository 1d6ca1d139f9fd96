//go:build linux

package load

import (
	"bytes"
	"fmt"
)

// pageSize is how long the body of an ordinary answer is.
const pageSize = 2 << 10

// appendCookies appends a field of cookies such as sites leave behind.
func (j Job) appendCookies(b []byte) []byte {
	if j.Cookies == 0 {
		return b
	}
	b = append(b, "Cookie: session="...)
	for i := range j.Cookies {
		if i%64 == 63 {
			b = fmt.Appendf(b, "; c%02d=", i/64%100)
			continue
		}
		b = append(b, "0123456789abcdef"[i*7%16])
	}
	return append(b, "\r\n"...)
}

// page returns a request that is not Socket.IO's.
func (j Job) page() []byte {
	b := fmt.Appendf(nil, "GET /page?q=1 HTTP/1.1\r\nHost: %s\r\nConnection: keep-alive\r\n%s", j.Addr, browser)
	return fmt.Appendf(j.appendCookies(b), "Referer: http://%s/\r\n\r\n", j.Addr)
}

// malformed returns a request with two lengths, which everybody has to refuse (RFC 9112, section 6.3).
func (j Job) malformed() []byte {
	return fmt.Appendf(nil, "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: %s\r\n%sContent-Length: 1\r\nContent-Length: 2\r\n\r\n", j.Addr, browser)
}

// misfit reads the answer to a handshake and makes a request of its session in another version of the protocol.
func (j Job) misfit() reader {
	session := j.session("GET", nil)
	return func(c *conn, b []byte) (int, bool, error) {
		used, done, err := session(c, b)
		if done {
			c.ask = bytes.Replace(c.ask, []byte("EIO=4"), []byte("EIO=3"), 1)
		}
		return used, done, err
	}
}

// noSession begins the sids that no node has made; the request's number stands behind it.
const (
	noSession    = "unknown"
	serialDigits = 13
)

// unknown returns a poll with such a sid, to be numbered.
func (j Job) unknown() []byte {
	return j.request("GET", fmt.Sprintf("transport=polling&t=PJ1kMs1&sid=%s%0*d", noSession, serialDigits, 0), nil)
}

// renumber gives a poll of unknown another sid.
func renumber(c *conn, serial int64) {
	at := bytes.Index(c.ask, []byte(noSession)) + len(noSession)
	for i := at + serialDigits - 1; i >= at; i-- {
		c.ask[i] = '0' + byte(serial%10)
		serial /= 10
	}
}

// paged reads the answer to an ordinary request.
func paged(c *conn, b []byte) (int, bool, error) {
	a, err := readOK(c, b)
	if err == nil && a.size > 0 && len(a.body) != pageSize {
		err = fmt.Errorf("a page of %d bytes", len(a.body))
	}
	return a.size, a.size > 0, err
}

// granted reads the answer to a preflight.
func granted(c *conn, b []byte) (int, bool, error) {
	a, err := readAnswer(b)
	if err == nil && a.size > 0 && a.status != 204 {
		err = fmt.Errorf("status %d: %.400q", a.status, b)
	}
	c.foreign, c.last = a.foreign, a.last
	return a.size, a.size > 0, err
}

// refused reads a 400.
func refused(c *conn, b []byte) (int, bool, error) {
	a, err := readAnswer(b)
	if err == nil && a.size > 0 && a.status != 400 {
		err = fmt.Errorf("status %d: %.400q", a.status, b)
	}
	c.foreign, c.last = false, a.last
	return a.size, a.size > 0, err
}

// closed400 reads the head of a 400 that may have no length, since the connection ends with it.
func closed400(_ *conn, b []byte) (int, bool, error) {
	end := bytes.Index(b, headEnd)
	if end < 0 {
		return 0, false, nil
	}
	if status := statusOf(b[:end]); status != 400 {
		return 0, false, fmt.Errorf("status %d: %.400q", status, b)
	}
	return len(b), true, nil
}

// unknownSID reads the answer to a poll of unknown: 400 with the protocol's code 1, or a 429 or 503 of a proxy that has
// enough of them.
func unknownSID(c *conn, b []byte) (int, bool, error) {
	a, err := readAnswer(b)
	if err != nil || a.size == 0 {
		return 0, false, err
	}
	c.foreign, c.last = false, a.last
	switch known := bytes.Contains(a.body, []byte(`"code":1,`)); {
	case a.status == 400 && known, a.status == 429, a.status == 503:
		return a.size, true, nil
	}
	return 0, false, fmt.Errorf("status %d: %.400q", a.status, b)
}
