package gateway_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
)

// somebody is a script of that kind with an honest answer of so many bytes.
func somebody(n int, kind byte, size int) *script {
	s := scriptOf(1, tokenOf(n, kind))
	s.manner, s.method, s.answer, s.framing, s.size, s.chunk = honest, "GET", size, "length", 0, 0
	if kind == payload {
		s.method, s.size = "POST", size
	}
	return s
}

// saidBy is the answer to s at n1.
func saidBy(s *script) string {
	return string((&visit{scripted: &scripted{name: "n1"}, s: s}).said())
}

// What clients of TestCrossTalk take for an answer is theirs, whole or up to where it was cut; anything else is told.
func TestCrossTalkToldByClients(t *testing.T) {
	t.Parallel()
	for _, kind := range []byte{page, poll, handshake} {
		mine, other := somebody(1, kind, 200), somebody(2, kind, 200)
		own, foreign := saidBy(mine), saidBy(other)
		for cut := range len(own) + 1 {
			h, err := mine.hear(bufio.NewReader(strings.NewReader(own[:cut])), nil)
			if err != nil || (h.outcome == whole) != (cut == len(own)) {
				t.Fatalf("%c: of its answer %d bytes are %v, %v", kind, cut, h.outcome, err)
			}
		}
		longer := strings.Replace(own, "Content-Length: ", "Content-Length: 1", 1) + foreign + foreign + foreign + foreign
		head, body, _ := strings.Cut(own, "\r\n\r\n")
		head += "\r\n\r\n"
		_, otherBody, _ := strings.Cut(foreign, "\r\n\r\n")
		for what, said := range map[string]string{
			"another's answer":                 foreign,
			"another's body":                   head + otherBody,
			"another's end":                    own[:len(own)-50] + foreign[len(foreign)-50:],
			"another's last but one line, cut": own[:len(own)-100] + foreign[len(foreign)-100:len(foreign)-20],
			"one strange byte":                 own[:len(own)-1] + "#",
			"one byte too many before":         "#" + own,
			"a line left out":                  head + body[:50] + body[60:] + "0123456789",
			"more than its answer":             longer,
			"less than its answer":             answer(200, body[:len(body)-1], "X-Token: "+mine.token),
			"its answer with another status":   strings.Replace(own, " 200 ", " 404 ", 1),
			"two tokens":                       answer(200, body, "X-Token: "+mine.token, "X-Token: "+other.token),
			"the end of another's body":        otherBody[100:] + own,
			"early hints for another":          "HTTP/1.1 103 Early Hints\r\nX-Token: " + other.token + "\r\n\r\n" + own,
			"a 100 that it did not ask for":    "HTTP/1.1 100 Continue\r\n\r\n" + own,
			"a switch that it did not ask for": "HTTP/1.1 101 Switching Protocols\r\nX-Token: " + mine.token + "\r\n\r\n" + own,
			"an answer without a name":         answer(200, "hello"),
			"an error with another's words":    answer(502, otherBody[:60]),
		} {
			if h, err := mine.hear(bufio.NewReader(strings.NewReader(said)), nil); err == nil {
				t.Errorf("%c: %s is taken for %v", kind, what, h.outcome)
			}
		}
		if h, err := mine.hear(bufio.NewReader(strings.NewReader(answer(502, "Bad Gateway\n"))), nil); err != nil || h.outcome != ours {
			t.Errorf("%c: the gateway's answer is taken for %v, %v", kind, h.outcome, err)
		}
	}
}

// The same of what nodes take for a request, and of tunnels.
func TestCrossTalkToldByNodes(t *testing.T) {
	t.Parallel()
	n := &scripted{crosstalk: &crosstalk{seed: 1}, name: "n1"}
	mine, other := scriptOf(1, tokenOf(1, poll)), scriptOf(1, tokenOf(2, poll))
	own, _ := mine.asked("S-n1")
	for what, c := range map[string]struct {
		head string
		ok   bool
	}{
		"its own":          {own, true},
		"another's token":  {strings.Replace(own, "X-Token: "+mine.token, "X-Token: "+other.token, 1), false},
		"another's target": {strings.Replace(own, "t="+mine.token, "t="+other.token, 1), false},
		"another's too":    {strings.Replace(own, "Host:", "X-Token: "+other.token+"\r\nHost:", 1), false},
		"another node's":   {strings.Replace(own, "S-n1", "S-n2", 1), false},
		"no session":       {strings.Replace(own, "&sid=S-n1", "", 1), false},
		"another method":   {strings.Replace(own, "GET ", "HEAD ", 1), false},
		"a body":           {strings.Replace(own, "Host:", "Content-Length: 5\r\nHost:", 1), false},
	} {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(c.head)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.read(r); (err == nil) != c.ok {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, client := range []bool{true, false} {
		want, foreign := said(mine.token, '>', 1000), said(other.token, '>', 1000)
		rng := rand.New(rand.NewPCG(1, 1))
		wire := string(frames(nil, rng, want, client))
		strange := string(frames(nil, rng, foreign, client))
		for what, c := range map[string]struct {
			wire string
			ok   bool
		}{
			"all":              {wire, true},
			"a part":           {wire[:500], true},
			"another's":        {strange, false},
			"another's end":    {wire[:len(wire)-100] + strange[len(strange)-100:], false},
			"an answer":        {saidBy(other), false},
			"its frames twice": {wire[:len(wire)-1] + "#" + wire, false},
		} {
			if _, err := unframe(bufio.NewReader(strings.NewReader(c.wire)), want, client); (err == nil) != c.ok {
				t.Errorf("%s, of a client %v: %v", what, client, err)
			}
		}
	}
	if err := agree([]byte("abXd"), []byte("abcd")); err == nil || !strings.Contains(fmt.Sprint(err), "from 2 on") {
		t.Error(err)
	}
}
