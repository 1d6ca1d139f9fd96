package gateway

import (
	"net/http"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/http1"
)

// plain is an answer in words, for requests that are not Engine.IO's.
func plain(status int, words string) engineio.Answer {
	return engineio.Answer{Status: status, ContentType: "text/plain; charset=utf-8", Body: words + "\n"}
}

// refusal is the table's answer to this request. On paths that are not Socket.IO's its words are plain.
func (x *exchange) refusal(c engineio.Cause) engineio.Answer {
	x.reason, x.refused = c, true
	a := engineio.AnswerFor(x.kind.answered(), x.query, c)
	if x.kind == ordinary || x.kind == ordinaryWebSocket {
		retry := a.RetryAfter
		a = plain(a.Status, http.StatusText(a.Status))
		a.RetryAfter = retry
	}
	return a
}

// fail answers the request here, for the given cause.
func (x *exchange) fail(c engineio.Cause) after { return x.reply(x.refusal(c)) }

// reply sends an answer made here. The connection goes on if all of the request was read.
func (x *exchange) reply(a engineio.Answer) after {
	if x.c.ctx.Err() != nil {
		return hangUp
	}
	x.status = a.Status
	if x.req.Method == "HEAD" {
		a.Body = ""
	}
	if x.refused {
		x.c.g.Metrics.answered(x.route, x.reason)
		switch x.reason {
		case engineio.Loop:
			x.tellFault(faultLoop, "", "requests go in a circle: a node of the cluster sends them back here, or is a replica of sidway itself",
				"client", x.origin().ip)
		case engineio.SIDUnknown:
			x.tellUnknown()
		}
	} else {
		x.c.g.Metrics.refused("bad_request")
	}
	body := x.req.ContentLength > 0 || x.req.Chunked
	// Behind a request for an upgrade there may be bytes of another protocol.
	last := x.closes() || x.unread || x.req.Minor == 0 || x.req.Upgrade || body && !x.upload.complete
	out := buffers.get()
	defer buffers.put(out)
	*out = a.Append((*out)[:0], engineio.CORS{
		Origin:  x.req.Get(http1.Origin),
		Method:  x.req.Get(http1.AccessControlRequestMethod),
		Headers: x.req.Get(http1.AccessControlRequestHeaders),
	}, last)
	if x.write(*out) != nil {
		return hangUp
	}
	if !last {
		return goOn
	}
	if body || x.unread || x.req.Upgrade {
		x.c.linger()
	}
	return hangUp
}

// write sends a piece of the answer.
func (x *exchange) write(b []byte) error {
	n, err := x.c.write(b)
	x.bytes += int64(n)
	return err
}

// closes reports whether the connection ends with this answer whatever it is.
func (x *exchange) closes() bool { return x.req.Close || x.c.surplus || x.c.g.draining.Load() }
