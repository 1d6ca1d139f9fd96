package gateway_test

import (
	"testing"
	"time"
)

// A client that has closed its side behind more than one request is not waited for for long where nothing comes for it: while its
// poll waits, and while an answer that has begun pauses. What it sent last may have come by itself.
func TestHalfClosedClientsAreNotWaitedForForLong(t *testing.T) {
	for name, answers := range map[string]answerer{
		"a poll": silent,
		"a stream": func(c *nodeConn, _ *nodeRequest) {
			c.send(head(200, "Content-Type: text/event-stream", chunked) + "3\r\n: \n\r\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			node := startNode(t, "n1", answers)
			s := startGateway(t, withNodes(node))
			s.bind(aSID, node)
			client := dial(t, s.addr)
			target := pollTarget(aSID)
			if name == "a stream" {
				target = "/events"
			}
			client.send(get(target))
			node.conn(0).await("GET ")
			if name == "a stream" {
				client.start("GET")
			}
			client.send("G")
			time.Sleep(50 * time.Millisecond) // so that it is no part of the segment before or behind
			client.CloseWrite()
			eventually(t, "the lease is given back", func() bool { return s.metric("sidway_leases") == 0 })
		})
	}
}

// An answer that goes on after pauses reaches a client that has closed its side behind more than one request.
func TestHalfClosedClientsGetAnswersThatGoOn(t *testing.T) {
	t.Parallel()
	node := startNode(t, "n1", func(c *nodeConn, _ *nodeRequest) {
		time.Sleep(3 * time.Second) // twice as long is more than a silent answer is waited for
		c.send(head(200, lengthOf("begin and end")) + "begin ")
		time.Sleep(3 * time.Second)
		c.send("and end")
	})
	client := dial(t, startGateway(t, withNodes(node)).addr)
	client.send(get("/page") + "G")
	client.CloseWrite()
	if r := client.answer(); r.Text != "begin and end" {
		t.Errorf("got %d %q", r.StatusCode, r.Text)
	}
}
