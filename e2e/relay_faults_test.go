package e2e_test

import (
	"bytes"
	"net/http"
	"sync/atomic"
	"testing"
)

// separator stands between the packets of a body (Engine.IO 4, "Payload").
var separator = []byte{0x1e}

var accepted = answer{status: http.StatusOK, kind: "text/html", body: []byte("ok")}

// onThird does something else with the third request of a session; the others pass.
func onThird(f func(v visit) answer) func(v visit) answer {
	return func(v visit) answer {
		if v.n == 3 {
			return f(v)
		}
		return v.forward(v.body)
	}
}

func postTwice(v visit) answer {
	v.forward(v.body)
	return v.forward(v.body)
}

func swallowPost(visit) answer { return accepted }

func changePost(v visit) answer {
	return v.forward(bytes.Replace(v.body, []byte(`"sum":"`), []byte(`"sum":"x`), 1))
}

// latePost answers one POST at once and delivers it after the next. It takes one that leaves room in the client's
// window, since otherwise no next one comes.
func latePost(v visit) answer {
	switch {
	case v.s.keptPost == nil && v.n >= 3 && bytes.Count(v.body, []byte(`["echo"`)) == 1:
		v.s.keptPost, v.s.keptBody = v.forward, v.body
		return accepted
	case v.s.keptBody != nil:
		a := v.forward(v.body)
		v.s.keptPost(v.s.keptBody)
		v.s.keptBody = nil
		return a
	}
	return v.forward(v.body)
}

// pollAgain loses an answer and asks for the next one.
func pollAgain(v visit) answer {
	v.forward(nil)
	return v.forward(nil)
}

// swapPolls makes two answers of one that carries several of the node's messages, and gives the poll the later one and the
// next poll the earlier one.
func swapPolls(v visit) answer {
	if kept := v.s.keptAnswer; len(kept.body) > 0 {
		v.s.keptAnswer.body = nil
		return kept
	}
	a := v.forward(nil)
	packets := bytes.Split(a.body, separator)
	var pushes []int
	for i, p := range packets {
		if bytes.Contains(p, []byte(`["push"`)) {
			pushes = append(pushes, i)
		}
	}
	if v.s.keptAnswer.status != 0 || len(pushes) < 2 {
		return a
	}
	v.s.keptAnswer = a
	v.s.keptAnswer.body = bytes.Join(packets[:pushes[1]], separator)
	a.body = bytes.Join(packets[pushes[1]:], separator)
	return a
}

// repeatPoll gives one answer twice.
func repeatPoll(v visit) answer {
	switch v.n {
	case 3:
		v.s.keptAnswer = v.forward(nil)
		return v.s.keptAnswer
	case 4:
		return v.s.keptAnswer
	}
	return v.forward(nil)
}

func failPoll(visit) answer { return answer{status: http.StatusBadGateway} }

func dropFrame(s *relayed, data []byte) [][]byte {
	if s.count(&s.frames) == 3 {
		return nil
	}
	return [][]byte{data}
}

func repeatFrame(s *relayed, data []byte) [][]byte {
	if s.count(&s.frames) == 3 {
		return [][]byte{data, data}
	}
	return [][]byte{data}
}

func swapFrames(s *relayed, data []byte) [][]byte {
	switch s.count(&s.frames) {
	case 3:
		s.keptFrame = data
		return nil
	case 4:
		return [][]byte{data, s.keptFrame}
	}
	return [][]byte{data}
}

func firstHandshakeRefused() func(*http.Request) bool {
	var refused atomic.Bool
	return func(q *http.Request) bool {
		return !q.URL.Query().Has("sid") && refused.CompareAndSwap(false, true)
	}
}

func upgradeRefused(q *http.Request) bool { return q.Header.Get("Upgrade") != "" }

// A checker that finds nothing proves nothing, unless it finds what is planted.
func TestPlantedFaultsAreFound(t *testing.T) {
	for _, c := range []struct {
		name  string
		mode  string
		fault fault
		flaw  string // the kind that must be found; none if empty
	}{
		{"none in polls", "polling", fault{}, ""},
		{"none in an upgrade", "upgrade", fault{}, ""},
		{"none in frames", "websocket", fault{}, ""},
		{"POST sent again", "polling", fault{post: onThird(postTwice)}, "doubled"},
		{"POST dropped", "polling", fault{post: onThird(swallowPost)}, "lost"},
		{"POST overtaken", "polling", fault{post: latePost}, "reordered"},
		{"POST changed", "polling", fault{post: onThird(changePost)}, "corrupt"},
		{"poll sent again", "polling", fault{poll: onThird(pollAgain)}, "lost"},
		{"two polls' answers swapped", "polling", fault{poll: swapPolls}, "reordered"},
		{"a poll's answer given twice", "polling", fault{poll: repeatPoll}, "doubled"},
		{"a poll failed", "polling", fault{poll: onThird(failPoll)}, "disconnect"},
		{"a handshake refused", "polling", fault{refuse: firstHandshakeRefused()}, "connect_error"},
		{"a direct connect refused", "websocket", fault{refuse: firstHandshakeRefused()}, "connect_error"},
		{"upgrades refused", "upgrade", fault{refuse: upgradeRefused}, "not upgraded"},
		{"client's frame dropped", "websocket", fault{frame: dropFrame}, "lost"},
		{"client's frame twice", "websocket", fault{frame: repeatFrame}, "doubled"},
		{"client's frames swapped", "websocket", fault{frame: swapFrames}, "reordered"},
		{"node's frame dropped", "websocket", fault{frame: dropFrame, from: fromNode}, "lost"},
		{"node's frame twice", "websocket", fault{frame: repeatFrame, from: fromNode}, "doubled"},
		{"node's frames swapped", "websocket", fault{frame: swapFrames, from: fromNode}, "reordered"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := startNode(t, node48, "n1", pings{})
			url := startRelay(t, n, c.fault)
			driver := startClients(t, plan{URL: url, Library: 4, Modes: map[string]int{c.mode: 3}, Window: 3, Stall: 2500})
			found := driver.exchange(t, 30).flaws([]stats{n.stats(t)})
			if c.flaw == "" {
				found.check(t)
			} else if len(found[c.flaw]) == 0 {
				t.Errorf("planted %q was not found as %q, but as:\n%v", c.name, c.flaw, found)
			}
			driver.leave(t)
		})
	}
}
