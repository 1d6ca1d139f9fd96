package api

import (
	"fmt"
	"time"
)

// stormGoesOn is how long after so many began last others may still be waiting to come back: clients wait for up to 7.5 s.
const stormGoesOn = 10 * time.Second

// Words says what a storm is at a time, and which side has ended the WebSockets.
func (s *Storm) Words(at time.Time) string {
	when := "and clients are still coming back"
	if over := at.Sub(s.Last); over >= stormGoesOn {
		when = fmt.Sprintf("and it ended %.0f s ago", over.Seconds())
	}
	return fmt.Sprintf("%s began, up to %d within one second, %s; %s", count(int(s.Begun), "session"), s.Peak, when, s.cause())
}

// cause says who has ended the WebSockets, where so many have ended that these may be the clients that come back.
func (s *Storm) cause() string {
	const clients, nodes = "look at the proxy or the network in front of sidway", "were nodes started anew, or do they disconnect their clients?"
	of := func(n uint64) string {
		if n == s.Ended {
			return "all " + count(int(n), "WebSocket") + " that ended"
		}
		return fmt.Sprintf("%d of the %s that ended", n, count(int(s.Ended), "WebSocket"))
	}
	switch {
	case 10*s.Ended < s.Begun:
		return fmt.Sprintf("only %s ended here, so these clients polled, come from another replica, or are new", count(int(s.Ended), "WebSocket"))
	case 10*s.ByClients >= 9*s.Ended:
		return of(s.ByClients) + " were closed by the clients' side: " + clients
	case 10*s.ByNodes >= 9*s.Ended:
		return of(s.ByNodes) + " were closed by the nodes' side: " + nodes
	}
	return fmt.Sprintf("of the %s that ended, %d were closed by the clients' side, %d by the nodes' side", count(int(s.Ended), "WebSocket"), s.ByClients, s.ByNodes)
}
