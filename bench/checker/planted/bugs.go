package planted

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Bug is something that a gateway must not do. The zero value is none.
type Bug struct {
	Name string
	Mode string // the clients that notice: polling, upgrade or websocket

	refuse  func(*http.Request) bool                           // such requests are answered with 503
	post    func(visit) answer                                 // a POST that carries messages
	poll    func(visit) answer                                 // a GET of a session
	upgrade func(visit) answer                                 // an upgrade, which is refused
	frame   func(g *Gateway, s *session, data []byte) [][]byte // a WebSocket's text frame with a message: what is passed on instead
	from    side                                               // whose frames
}

// Bugs returns all of them, made anew, since some remember what they have done.
func Bugs() []Bug {
	return []Bug{
		{Name: "POST sent again", Mode: "polling", post: onThird(postTwice)},
		{Name: "POST dropped", Mode: "polling", post: onThird(swallowPost)},
		{Name: "POST overtaken", Mode: "polling", post: latePost},
		{Name: "POST changed", Mode: "polling", post: onThird(changePost)},
		{Name: "POST sent again after a cut", Mode: "polling", post: onThird(postAfterCut)},
		{Name: "poll sent again", Mode: "polling", poll: onThirdFull(pollAgain)},
		{Name: "two polls' answers swapped", Mode: "polling", poll: swapPolls},
		{Name: "a poll's answer given twice", Mode: "polling", poll: repeatPoll},
		{Name: "a poll's answer given to another session", Mode: "polling", poll: strayPoll},
		{Name: "a poll failed", Mode: "polling", poll: onThird(failPoll)},
		{Name: "a handshake refused", Mode: "polling", refuse: firstHandshakeRefused()},
		{Name: "a direct connect refused", Mode: "websocket", refuse: firstHandshakeRefused()},
		{Name: "upgrades refused", Mode: "upgrade", refuse: upgradeRefused},
		{Name: "connection of a refused upgrade pooled", Mode: "upgrade", upgrade: poolRefused, post: usePooled, poll: usePooled},
		{Name: "client's frame dropped", Mode: "websocket", frame: dropFrame},
		{Name: "client's frame twice", Mode: "websocket", frame: repeatFrame},
		{Name: "client's frames swapped", Mode: "websocket", frame: swapFrames},
		{Name: "node's frame dropped", Mode: "websocket", frame: dropFrame, from: fromNode},
		{Name: "node's frame twice", Mode: "websocket", frame: repeatFrame, from: fromNode},
		{Name: "node's frames swapped", Mode: "websocket", frame: swapFrames, from: fromNode},
		{Name: "node's frame given to another session", Mode: "websocket", frame: strayFrame, from: fromNode},
	}
}

// Named returns the bug of that name; "none" is none.
func Named(name string) (Bug, error) {
	if name == "none" {
		return Bug{Name: name}, nil
	}
	all := Bugs()
	n := slices.IndexFunc(all, func(b Bug) bool { return b.Name == name })
	if n < 0 {
		var names []string
		for _, b := range all {
			names = append(names, b.Name)
		}
		return Bug{}, fmt.Errorf("planted: no bug is %q; there are %s", name, strings.Join(names, "; "))
	}
	return all[n], nil
}
