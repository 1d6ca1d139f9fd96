package planted

import (
	"bytes"
	"net/http"
)

// separator stands between the packets of a body (Engine.IO 4, "Payload").
var separator = []byte{0x1e}

var accepted = answer{status: http.StatusOK, kind: "text/html", body: []byte("ok")}

// onThird does something else with the third request of a session; the others pass.
func onThird(f func(v visit) answer) func(v visit) answer {
	return func(v visit) answer {
		if v.n == 3 {
			v.g.strikes.Add(1)
			return f(v)
		}
		return v.forward(v.body)
	}
}

func postTwice(v visit) answer {
	v.forward(v.body)
	return v.forward(v.body)
}

// postAfterCut sends a POST to the node by a balancer that cuts the connection when the node has read all of it, takes that for proof
// that the node has read nothing, and sends it again.
func postAfterCut(v visit) answer {
	b, err := StartBalancer("127.0.0.1:0", v.s.node)
	if err != nil {
		return answer{}
	}
	defer b.Close()
	b.CutPosts(1)
	if a := v.g.forward(b.Address(), v.q, v.body); a.status != 0 {
		return a
	}
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
	case v.s.keptPost == nil && v.n >= 3 && bytes.Count(v.body, []byte(`["`+v.g.plan.Up+`"`)) == 1:
		v.s.keptPost, v.s.keptBody = v.forward, v.body
		return accepted
	case v.s.keptBody != nil:
		a := v.forward(v.body)
		v.g.strikes.Add(1)
		v.s.keptPost(v.s.keptBody)
		v.s.keptBody = nil
		return a
	}
	return v.forward(v.body)
}

// onThirdFull does something else with the third answer of a session that carries messages; the others pass.
func onThirdFull(f func(v visit, a answer) answer) func(v visit) answer {
	return func(v visit) answer {
		a := v.forward(nil)
		if v.g.carries(a.body, v.g.plan.Down) && v.s.count(&v.s.full) == 3 {
			v.g.strikes.Add(1)
			return f(v, a)
		}
		return a
	}
}

// pollAgain loses an answer and asks for the next one.
func pollAgain(v visit, _ answer) answer { return v.forward(nil) }

// swapPolls makes two answers of one that carries several of the node's messages, and gives the poll the later one and the
// next poll the earlier one.
func swapPolls(v visit) answer {
	if kept := v.s.keptAnswer; len(kept.body) > 0 {
		v.s.keptAnswer.body = nil
		return kept
	}
	a := v.forward(nil)
	packets := bytes.Split(a.body, separator)
	var messages []int
	for i, p := range packets {
		if v.g.carries(p, v.g.plan.Down) {
			messages = append(messages, i)
		}
	}
	if v.s.keptAnswer.status != 0 || len(messages) < 2 {
		return a
	}
	v.g.strikes.Add(1)
	v.s.keptAnswer = a
	v.s.keptAnswer.body = bytes.Join(packets[:messages[1]], separator)
	a.body = bytes.Join(packets[messages[1]:], separator)
	return a
}

// repeatPoll gives one answer twice.
func repeatPoll(v visit) answer {
	if kept := v.s.keptAnswer; len(kept.body) > 0 {
		v.s.keptAnswer.body = nil
		return kept
	}
	return onThirdFull(func(v visit, a answer) answer {
		v.s.keptAnswer = a
		return a
	})(v)
}

// strayPoll gives one answer of each session to another one.
func strayPoll(v visit) answer {
	v.g.mu.Lock()
	kept := v.g.kept
	if kept.s != nil && kept.s != v.s {
		v.g.kept = stray{}
		v.g.mu.Unlock()
		return kept.answer
	}
	v.g.mu.Unlock()
	return onThirdFull(func(v visit, a answer) answer {
		v.g.mu.Lock()
		v.g.kept = stray{v.s, a}
		v.g.mu.Unlock()
		return v.forward(nil)
	})(v)
}

func failPoll(visit) answer { return answer{status: http.StatusBadGateway} }
