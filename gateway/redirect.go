package gateway

import (
	"net/http"

	"github.com/sidway/sidway/engineio"
)

// Redirect has a listener send each client to the same host and path by https, and serve nothing else but the answers to challenges of
// certificate authorities.
type Redirect struct {
	Port uint16 // of https; 0: the usual one
	// Challenge returns what an authority is to find at /.well-known/acme-challenge/ and a token for a host (RFC 8555, 8.3), and whether
	// there is such a challenge. It is called concurrently and may block. nil: there are none.
	Challenge func(host, token string) (body string, ok bool)
}

// redirected answers a request on a listener that redirects.
func (c *clientConn) redirected() {
	x, top := c.x, c.g.topology.Load()
	c.HasIDs = top.Access != nil
	answer := x.Redirect(top.routes, c.redirect.Port)
	host, token, ok := x.Challenge()
	if !ok || c.redirect.Challenge == nil {
		c.reply(answer)
		return
	}
	c.waiter.leave()
	c.await(func() {
		if body, known := c.redirect.Challenge(host, token); known {
			answer = engineio.Answer{Status: http.StatusOK, ContentType: "text/plain", Body: body}
		}
	}, func() { c.reply(answer) }, nil)
}

// reasonOf is what an answer is counted as that no cause refuses.
func reasonOf(a engineio.Answer) string {
	switch a.Status {
	case http.StatusPermanentRedirect:
		return "redirect"
	case http.StatusOK:
		return "challenge"
	}
	return "bad_request"
}
