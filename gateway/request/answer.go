package request

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/http1"
)

// Framing is how an answer's body is told from what follows it, on the client's side.
type Framing uint8

const (
	AsAnnounced Framing = iota // Content-Length, or there is no body
	InChunks
	UntilClose
)

// AppendPiece frames a piece of the answer's body for the client.
func AppendPiece(dst []byte, f Framing, p []byte, last bool) []byte {
	if f != InChunks {
		return append(dst, p...)
	}
	if len(p) > 0 {
		dst = http1.AppendChunk(dst, p)
	}
	if last {
		dst = http1.AppendLastChunk(dst)
	}
	return dst
}

// Framing decides how the client learns where the answer ends.
func (x *Request) Framing() Framing {
	switch {
	case x.Resp.NoBody || !x.Resp.Chunked && x.Resp.ContentLength >= 0:
		return AsAnnounced
	case x.Req.Minor == 0:
		return UntilClose
	}
	return InChunks
}

// AppendAnswer writes the node's head for the client, without what concerned only the node's connection.
func (x *Request) AppendAnswer(dst []byte, f Framing, last bool) []byte {
	dst = x.AppendStatus(dst)
	switch {
	case f == InChunks:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	case f == AsAnnounced && x.Resp.Has(http1.ContentLength) && x.Resp.Status != 204:
		// As the node wrote it: an answer to HEAD, and a 304, have a length without a body.
		dst = http1.AppendField(dst, "Content-Length", x.Resp.Get(http1.ContentLength))
	}
	if x.Client.Strict != "" && !x.isStrict() {
		dst = http1.AppendField(dst, strictTransport, x.Client.Strict)
	}
	switch {
	case last:
		dst = append(dst, "Connection: close\r\n"...)
	case x.Req.Minor == 0:
		dst = append(dst, "Connection: keep-alive\r\n"...)
	}
	return append(dst, "\r\n"...)
}

const strictTransport = "Strict-Transport-Security"

// isStrict reports whether the node says so itself, which then holds.
func (x *Request) isStrict() bool {
	return slices.ContainsFunc(x.Resp.Fields, func(f http1.Field) bool { return strings.EqualFold(f.Name, strictTransport) })
}

// AppendStatus writes the status line and the fields that go from end to end.
func (x *Request) AppendStatus(dst []byte) []byte {
	dst = http1.AppendStatus(dst, x.Resp.Status, x.Resp.Reason)
	if x.setsCORS() {
		return x.appendCORS(x.Resp.AppendEndToEnd(dst, corsFields))
	}
	return x.Resp.AppendEndToEnd(dst, framingFields)
}

var framingFields = http1.SetOf(http1.ContentLength, http1.TransferEncoding)

// MayEnd reports whether the answer can tell of the end of a session.
func (x *Request) MayEnd() bool { return x.Query.SID != "" && x.Query.Transport == engineio.Polling }

// Strange reports whether the node answers a poll or POST of a session as no Engine.IO server does, as far as the status and the begin of the body tell: they
// say 200, 413, and 400 with JSON or nothing. What is 500 or more is none of this.
func (x *Request) Strange(first []byte) bool {
	if !x.MayEnd() || x.Kind != Poll && x.Kind != Post {
		return false
	}
	switch status := x.Resp.Status; status {
	case 200: // of a POST the body is "ok" in HTML
		return x.Kind == Poll && !mayBePacket(first) && isHTML(x.Resp.Get(http1.ContentType))
	case 400:
		body := bytes.TrimLeft(first, " \t\r\n")
		return len(body) > 0 && body[0] != '{' && body[0] != '"' && !engineio.IsUnknownSID(status, body)
	default:
		return status < 500 && status != 413
	}
}

// mayBePacket reports whether a poll's answer begins as packets do: with a type, a length, a b, a call or EIO 3's binary framing.
func mayBePacket(b []byte) bool {
	return len(b) > 0 && (b[0] >= '0' && b[0] <= '9' || b[0] == 'b' || b[0] == '_' || b[0] <= 1)
}

func isHTML(contentType string) bool {
	const html = "text/html"
	return len(contentType) >= len(html) && strings.EqualFold(contentType[:len(html)], html)
}

// Gathers reports whether more than what comes first of the body must be known.
func (x *Request) Gathers() bool {
	return x.Kind == Handshake && x.Resp.Status == 200 || x.MayEnd() && x.Resp.ContentLength <= Whole
}

// Collected reports whether enough of the body is there.
func (x *Request) Collected(first []byte) bool {
	switch {
	case x.Body.Done() || !x.Gathers():
		return true
	case x.Kind == Handshake:
		_, err := engineio.FindOpen(x.Query, first)
		return !errors.Is(err, engineio.ErrShort) || len(first) >= engineio.OpenLimit
	}
	return len(first) >= Whole
}

// Plain is an answer in words, for requests that are not Engine.IO's.
func Plain(status int, words string) engineio.Answer {
	return engineio.Answer{Status: status, ContentType: "text/plain; charset=utf-8", Body: words + "\n"}
}

// HasPage reports whether there is a page for the request while no node is to be had.
func (x *Request) HasPage() bool { return x.Kind == Ordinary && x.Route.Maintenance != "" }

// Refusal is the table's answer to this request. On paths that are not Socket.IO's its words are plain,
// or the route's page.
func (x *Request) Refusal(c engineio.Cause) engineio.Answer {
	x.Cause, x.Refused = c, true
	a := engineio.AnswerFor(x.Kind.answered(), x.Query, c)
	if !x.Kind.SocketIO() {
		retry := a.RetryAfter
		a = Plain(a.Status, http.StatusText(a.Status))
		a.RetryAfter = retry
	}
	if c == engineio.NoNode && x.HasPage() {
		a.ContentType, a.Body = "text/html; charset=utf-8", x.Route.Maintenance
	}
	return a
}
