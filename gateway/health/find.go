package health

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/sidway/sidway/engineio"
)

const (
	headLimit = 32 << 10
	bodyLimit = 4 << 10
	// closeTime bounds the request that closes a probe's session, also when Run ends.
	closeTime = time.Second

	tlsAlert = 0x15 // the first byte of what a TLS server says to plain HTTP (RFC 8446, 5.1)
)

// find probes once.
func (p *Prober) find(ctx context.Context, s Settings, n Node) finding {
	probing, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	if !s.asks() {
		conn, err := p.dial(probing, n)
		if err != nil {
			return failure(err, s.Timeout)
		}
		conn.Close()
		return finding{says: quiet}
	}
	target, want := s.Path, s.Status
	if s.Handshake {
		target, want = s.EngineIO+"?EIO=4&transport=polling", http.StatusOK
	}
	a, err := p.ask(probing, n, request("GET", target, n.Address))
	switch {
	case a == nil:
		return failure(err, s.Timeout)
	case a.StatusCode != want:
		return a.refusal(n)
	case err != nil:
		return failure(err, s.Timeout)
	case s.Handshake:
		return p.session(ctx, a, n, target)
	}
	return finding{says: a.words()}
}

// dial connects to a node, by TLS if it speaks that.
func (p *Prober) dial(ctx context.Context, n Node) (net.Conn, error) {
	conn, err := p.o.Dial(ctx, "tcp", n.Address)
	if err == nil && n.First != "" {
		_, _ = io.WriteString(conn, n.First) // a node that has gone is found out by what follows
	}
	if err != nil || n.TLS == nil {
		return conn, err
	}
	c := tls.Client(conn, n.TLS)
	if err := c.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("%w: %w", errHandshake, err)
	}
	return c, nil
}

// request returns a request without a body, or the head of one. Targets and addresses are those of a checked configuration.
func request(method, target, address string) string {
	return method + " " + target + " HTTP/1.1\r\nHost: " + address + "\r\nUser-Agent: sidway-health\r\nAccept: */*\r\nConnection: close\r\n\r\n"
}

// answer is a node's answer, with the beginning of its body.
type answer struct {
	*http.Response
	body []byte
}

// ask sends one request on a connection of its own, and reads the answer. Where an error comes beside an answer, its body is not
// whole.
//
// It is not net/http's client, since this one leaves no goroutine behind when it returns and sees the first byte.
func (p *Prober) ask(ctx context.Context, n Node, request string) (*answer, error) {
	conn, err := p.dial(ctx, n)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	// A node that answers before it has read the request is heard all the same; where it does not answer, reading fails as well.
	_, _ = io.WriteString(conn, request)
	limited := &io.LimitedReader{R: conn, N: headLimit + bodyLimit}
	b := bufio.NewReader(limited)
	first, err := b.Peek(1)
	switch {
	case err == io.EOF:
		return nil, errNoAnswer
	case err != nil:
		return nil, err
	case first[0] == tlsAlert && n.TLS == nil:
		return nil, errTLS
	}
	a, err := read(b)
	if err != nil && limited.N <= 0 {
		err = errLong
	}
	return a, err
}

// read reads an answer, and passes over those with a status of 1xx before it.
func read(b *bufio.Reader) (*answer, error) {
	for {
		res, err := http.ReadResponse(b, nil)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%w: %w", errNoHTTP, err)
		case res.StatusCode < 200 && res.StatusCode != http.StatusSwitchingProtocols:
			continue
		}
		a := &answer{Response: res}
		if a.body, err = io.ReadAll(io.LimitReader(res.Body, bodyLimit)); err != nil {
			err = fmt.Errorf("%w: %w", errNoHTTP, err)
		}
		return a, err
	}
}

// refusal is what an answer with the wrong status means: a node that asks to be drained with it works, and only wants no new sessions.
func (a *answer) refusal(n Node) finding {
	f := finding{outcome: WrongStatus, reason: fmt.Sprintf("answered %d", a.StatusCode)}
	if n.First != "" && a.StatusCode == http.StatusBadRequest {
		f.reason += "; does it expect the PROXY protocol's header (clusters.proxy_protocol)?"
	}
	if says := a.words(); says.drain {
		f.outcome, f.says, f.reason = OK, says, f.reason+" and drain"
	}
	return f
}

// words returns what the node says beside its status: in the header X-Sidway, or else in the first line of a body that is plain text,
// or of no type.
func (a *answer) words() words {
	if said := a.Header.Values("X-Sidway"); len(said) > 0 {
		return parseWords(strings.Join(said, ","))
	}
	if kind, _, _ := strings.Cut(a.Header.Get("Content-Type"), ";"); kind != "" && !strings.EqualFold(strings.TrimSpace(kind), "text/plain") {
		return quiet
	}
	line, _, _ := strings.Cut(string(a.body), "\n")
	return parseWords(line)
}

// session looks for the session in the answer to a handshake, and closes it, so that it does not live on until its node misses the
// pongs. A session that cannot be closed is no failure of the node, but a reason to be told.
func (p *Prober) session(ctx context.Context, a *answer, n Node, target string) finding {
	open, err := engineio.FindOpen(engineio.Query{Version: 4}, a.body)
	if err != nil {
		return finding{outcome: BadAnswer, reason: "answered without an open packet"}
	}
	f := finding{says: a.words()}
	// Node's engine.io 3 answers EIO=4 in revision 3, whose packets begin with a length.
	q := engineio.Query{Version: 3}
	if a.body[0] == '0' {
		q.Version = 4
	}
	body := engineio.AppendClose(nil, q)
	head := request("POST", target+"&sid="+open.SID, n.Address)
	head = strings.TrimSuffix(head, "\r\n") + fmt.Sprintf("Content-Type: text/plain;charset=UTF-8\r\nContent-Length: %d\r\n\r\n", len(body))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	closed, err := p.ask(ctx, n, head+string(body))
	switch {
	case closed == nil:
		f.reason = "its session was not closed: " + failure(err, closeTime).reason
	case closed.StatusCode != http.StatusOK:
		f.reason = fmt.Sprintf("its session was not closed: answered %d", closed.StatusCode)
	}
	f.reason = printable(f.reason)
	return f
}
