package gateway

import (
	"crypto/tls"
	"errors"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/loop"
	"github.com/sidway/sidway/gateway/request"
	"github.com/sidway/sidway/gateway/tlsconn"
)

// This file begins TLS with clients and nodes, and tells how it went.

// What can become of a TLS handshake.
const (
	tlsFull    = "full"
	tlsResumed = "resumed" // by a ticket
	tlsFailed  = "failed"
	tlsCut     = "cut"   // the peer left in the middle of it
	tlsPlain   = "plain" // it spoke HTTP
)

// protocolACME is what a certificate authority speaks who looks whether a host is ours (RFC 8737): it has seen by then, and since nobody
// has asked it for a client certificate, it must not get any further.
const protocolACME = "acme-tls/1"

// secure has the client spoken to by TLS.
func (c *clientConn) secure() loop.Stream {
	s := tlsconn.Server(tlsconn.Socket{Loop: c.d.loop, Token: c.token, FD: c.fd}, c.tls, tlsconn.Options{
		Work: &c.g.serving, Done: c.secured,
	})
	c.d.loop.SetStream(c.token, s)
	return s
}

// plainAnswer is for a client that speaks HTTP where TLS is expected.
var plainAnswer = request.Plain(400, "this port speaks HTTPS: write https:// or wss://").Append(nil, engineio.CORS{}, true)

// secured hears of the end of the client's handshake.
func (c *clientConn) secured(state tls.ConnectionState, err error) {
	outcome := outcomeOf(state, err)
	c.g.metrics.tls.WithLabelValues("client", outcome).Inc()
	switch outcome {
	case tlsFull, tlsResumed:
		switch state.NegotiatedProtocol {
		case "h2":
			c.serveHTTP2()
		case protocolACME:
			c.depart()
		}
	case tlsPlain:
		_, _ = c.d.loop.WriteSocket(c.token, c.fd, plainAnswer)
		if c.g.notices.due("plain_http", "", "") {
			c.g.log.Warn("a client speaks plain HTTP to a port for TLS", "client", c.IP)
		}
	case tlsFailed:
		if c.g.notices.due("tls", "", err.Error()) {
			c.g.log.Info("a client's TLS handshake has failed", "client", c.IP, "error", err)
		}
	}
}

// secure has the node spoken to by TLS, behind these bytes.
func (n *nodeConn) secure(first []byte) {
	n.d.loop.SetStream(n.token, tlsconn.Client(tlsconn.Socket{Loop: n.d.loop, Token: n.token, FD: n.fd}, n.node.TLS, tlsconn.Options{
		Work: &n.d.g.serving, Done: n.secured, First: first,
	}))
}

// secured hears of the end of the node's handshake.
func (n *nodeConn) secured(state tls.ConnectionState, err error) {
	outcome := outcomeOf(state, err)
	n.d.g.metrics.tls.WithLabelValues("node", outcome).Inc()
	c := n.client
	if c == nil || err == nil && outcome != tlsCut {
		return
	}
	text := "the TLS handshake with a node has failed"
	switch outcome {
	case tlsPlain:
		text = "a node that is to speak TLS speaks something else: is its URL to begin with http:// ?"
	case tlsCut:
		text = "a node ends connections in the middle of the TLS handshake: does it speak TLS there?"
	}
	c.x.tellFault(faultNodeTLS, n.node.Name, text, "node", n.node.Name, "address", n.node.Address, "error", err)
}

func outcomeOf(state tls.ConnectionState, err error) string {
	_, notTLS := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case notTLS:
		return tlsPlain
	case err != nil:
		return tlsFailed
	case !state.HandshakeComplete:
		return tlsCut
	case state.DidResume:
		return tlsResumed
	}
	return tlsFull
}
