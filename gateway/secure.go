package gateway

import (
	"crypto/tls"
	"crypto/x509"
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
			c.second = true
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
		Work: &n.d.g.serving, Done: n.secured, Alerted: n.alerted, First: first,
	}))
}

// secured hears of the end of the node's handshake.
func (n *nodeConn) secured(state tls.ConnectionState, err error) {
	outcome := outcomeOf(state, err)
	n.d.g.metrics.tls.WithLabelValues("node", outcome).Inc()
	if err != nil || outcome == tlsCut {
		n.noTLS = true
		n.tellTLS(err)
	}
}

// alerted hears that the node ends the connection, and why. Before it has said anything else, that is of the handshake.
func (n *nodeConn) alerted(err error) {
	if n.reused || n.client == nil || n.client.state != asking || len(n.in.b) > 0 {
		return
	}
	n.noTLS = true
	n.tellTLS(err)
}

// tellTLS tells what keeps a node from being spoken to by TLS. Err is nil where it has hung up.
func (n *nodeConn) tellTLS(err error) {
	c := n.client
	if c == nil {
		return
	}
	words, args := tlsWords(err), []any{"node", n.node.Name, "address", n.node.Address}
	text := words
	if err != nil {
		args = append(args, "error", err)
		text += " (" + request.Shortened(err.Error(), longestLogged) + ")"
	}
	name := c.x.route.Cluster.Name
	c.g.metrics.SetupFault(name, faultNodeTLS, n.node.Name, text)
	c.g.logFault(name, faultNodeTLS, n.node.Name+"\x00"+words, words, args...)
}

// tlsWords says what to mend where a handshake with a node has ended so.
func tlsWords(err error) string {
	_, notTLS := errors.AsType[tls.RecordHeaderError](err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, misnamed := errors.AsType[x509.HostnameError](err)
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	alert, alerted := tlsconn.Alert(err)
	switch {
	case err == nil:
		return "a node ends connections in the middle of the TLS handshake: does it speak TLS there?"
	case notTLS:
		return "a node that is to speak TLS speaks something else: is its URL to begin with http:// ?"
	case unknown:
		return "a node's certificate is of nobody who is trusted: write the file of those who sign as node_tls.ca"
	case misnamed:
		return "a node's certificate is for another name: write one that it has as node_tls.name"
	case invalid:
		return "a node's certificate does not hold: renew it"
	case alerted && (alert == certificateRequired || alert >= badCertificate && alert <= unknownCA && alert != illegalParameter):
		return "a node wants a certificate of sidway's own that it trusts: write node_tls.cert and node_tls.key"
	case alerted && alert == unrecognizedName:
		return "a node has no certificate for the name that it is asked by: write one that it has as node_tls.name"
	case alerted:
		return "a node refuses the TLS handshake: does it want a certificate of sidway's own (node_tls.cert), or another version?"
	}
	return "the TLS handshake with a node has failed"
}

// Alerts of TLS (RFC 8446, 6). From the first to the second all but illegalParameter are of a certificate.
const (
	badCertificate      = tls.AlertError(42)
	unknownCA           = tls.AlertError(48)
	certificateRequired = tls.AlertError(116)
	unrecognizedName    = tls.AlertError(112)
	illegalParameter    = tls.AlertError(47)
)

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
