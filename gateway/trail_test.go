package gateway_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/sidway/sidway/gateway"
)

// The last eight requests of a session are remembered, in their order. A newer session takes an older one's place and nothing of its
// requests, and one that nobody knows takes none.
func TestTrail(t *testing.T) {
	polled, read := gateway.NewTrail()
	polled("guessed", 400)
	if _, known := read("guessed"); known {
		t.Error("a sid that nobody knows is remembered")
	}
	for i := range 10 {
		polled("sid", uint16(200+i))
	}
	of, known := read("sid")
	if !known || len(of.Requests) != 8 || of.Requests[0].Status != 202 || of.Requests[7].Status != 209 || of.Requests[0].Kind != "poll" {
		t.Errorf("%v %+v", known, of)
	}
	kept := 0
	for i := range 4 * gateway.TrailSlots {
		polled(fmt.Sprint("other", i), 200)
	}
	for i := range 4 * gateway.TrailSlots {
		of, known := read(fmt.Sprint("other", i))
		if known {
			kept++
		}
		if known && len(of.Requests) != 1 {
			t.Fatalf("other%d has another's requests: %+v", i, of)
		}
	}
	if kept > gateway.TrailSlots || kept < gateway.TrailSlots*9/10 {
		t.Errorf("%d are remembered", kept)
	}
}

// Loops note requests of the same sessions while somebody reads.
func TestTrailOfManyLoops(t *testing.T) {
	polled, read := gateway.NewTrail()
	var loops sync.WaitGroup
	for loop := range 4 {
		loops.Go(func() {
			for i := range 5000 {
				polled(fmt.Sprint("sid", i%3), uint16(200+loop))
				polled(fmt.Sprint("passing", loop, i), 300)
			}
		})
	}
	for i := range 5000 {
		if of, known := read(fmt.Sprint("sid", i%3)); known {
			for _, r := range of.Requests {
				if r.Status < 200 || r.Status > 203 {
					t.Fatalf("another session's request: %+v", r)
				}
			}
		}
	}
	loops.Wait()
}

// What a poll pays.
func BenchmarkTrail(b *testing.B) {
	polled, _ := gateway.NewTrail()
	b.ReportAllocs()
	for b.Loop() {
		polled("lv_VI97HAXpY6yYWAAAC", 200)
	}
}

// A WebSocket whose place others have taken is found as long as it lives.
func TestTrailOfALiveWebSocket(t *testing.T) {
	t.Parallel()
	node := startNode(t, "n1", engine(aSID))
	s := startGateway(t, withNodes(node))
	c := raw(t, s.addr, get("/socket.io/?EIO=4&transport=websocket", asksWebSocket...))
	c.start("GET")
	eventually(t, "its opening is remembered", func() bool {
		of, known := s.Trail("c1", aSID)
		return known && of.Node == "n1" && !of.Tunnel.IsZero() && len(of.Requests) == 1
	})
	gateway.ForgetTrails(s.Gateway)
	if of, known := s.Trail("c1", aSID); !known || of.Node != "n1" || of.Tunnel.IsZero() || len(of.Requests) != 0 {
		t.Errorf("forgotten: %v %+v", known, of)
	}
	c.Close()
	eventually(t, "it is gone", func() bool { return s.metric("sidway_tunnels") == 0 })
	gateway.ForgetTrails(s.Gateway)
	if of, known := s.Trail("c1", aSID); known {
		t.Errorf("it has ended, and %+v", of)
	}
}
