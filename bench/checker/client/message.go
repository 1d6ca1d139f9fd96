//go:build linux

package client

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/sidway/sidway/bench/checker/history"
)

// heading is what a message says of itself, in app/message.mjs too.
type heading struct {
	SID string `json:"sid"`
	Seq int    `json:"seq"`
	Sum string `json:"sum"`
}

// sizes are how long payloads are: most are short, and one does not fit into a segment.
var sizes = [...]int{20, 60, 40, 300, 700, 50, 2000, 30, 9000, 90}

// payload is a text that is another one in each session and for each number, with letters of one, two, three and four bytes.
func payload(sid string, seq, size int) string {
	piece := fmt.Sprintf("%s %d é€😀 ", sid, seq)
	return strings.Repeat(piece, 1+size/len(piece))
}

// digest is over all that says whose message it is, so that no part can be another message's.
func digest(sid string, d history.Direction, seq int, payload string) string {
	sum := sha1.Sum(fmt.Appendf(nil, "%s %s %d %s", sid, d, seq, payload))
	return hex.EncodeToString(sum[:8])
}

// numbered splits the number of an acknowledgement from a packet's data.
func numbered(data string) (number, rest string) {
	n := strings.IndexFunc(data, func(r rune) bool { return r < '0' || r > '9' })
	if n < 0 {
		return data, ""
	}
	return data[:n], data[n:]
}

// onMessage takes a message from the node, and acknowledges it where that is asked for.
func (s *session) onMessage(data string) {
	number, rest := numbered(data)
	var (
		fields []json.RawMessage
		head   heading
		text   string
	)
	e := history.Event{Kind: history.Receive, SID: s.sid, Dir: history.Down}
	if json.Unmarshal([]byte(rest), &fields) != nil || len(fields) != 3 ||
		json.Unmarshal(fields[1], &head) != nil || json.Unmarshal(fields[2], &text) != nil {
		e.Bad = true
		s.c.write(e)
		return
	}
	e.Seq, e.Bad = head.Seq, digest(head.SID, history.Down, head.Seq, text) != head.Sum
	if head.SID != s.sid {
		e.Of = head.SID
	}
	s.c.write(e)
	if number != "" {
		s.send("43" + number + "[]")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received = max(s.received, head.Seq+1)
	s.check()
}

// onAck takes the acknowledgement of a message, or the answer to the last question.
func (s *session) onAck(data string) {
	number, rest := numbered(data)
	if number == settleNumber {
		var answer []struct{ Sent int }
		if json.Unmarshal([]byte(rest), &answer) != nil || len(answer) != 1 {
			s.end(fmt.Sprintf("the node has settled with %.40q", rest))
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.due = answer[0].Sent
		s.check()
		return
	}
	seq, err := strconv.Atoi(number)
	if err != nil {
		s.end(fmt.Sprintf("acknowledgement %.40q", data))
		return
	}
	s.c.r.acked.Add(1)
	s.c.write(history.Event{Kind: history.Ack, SID: s.sid, Dir: history.Up, Seq: seq})
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, seq)
	s.check()
}
