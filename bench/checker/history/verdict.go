package history

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Flaw is a way in which something can have gone wrong.
type Flaw string

// The flaws. None of them is ever excused, but Unexplained, Refusal and NoUpgrade, which count what no injury excuses.
const (
	Gap         Flaw = "gap"         // a message is missing in a session that went on: nobody was told
	Doubled     Flaw = "doubled"     // a message came twice
	Reordered   Flaw = "reordered"   // a message came after a later one
	CrossTalk   Flaw = "cross-talk"  // a message came in another session than its own
	Corrupt     Flaw = "corrupt"     // a message was changed, or nobody sent it
	FalseAck    Flaw = "false ack"   // a message was acknowledged and not received
	TwoNodes    Flaw = "two nodes"   // two nodes had to do with one sid
	Unsettled   Flaw = "unsettled"   // a session that lived until the end never got what it waited for
	Unexplained Flaw = "unexplained" // a session ended, and no injury excuses it
	NotBack     Flaw = "not back"    // a client that lost its session has not got another one
	Late        Flaw = "back late"   // 99 % of an injury's clients were back later than it allows
	Refusal     Flaw = "refusal"     // a client could not get a session
	NoUpgrade   Flaw = "no upgrade"  // a session could not upgrade, and polls for good
)

// A Finding is one flaw with what is needed to look it up in the histories.
type Finding struct {
	Flaw Flaw          `json:"flaw"`
	At   time.Duration `json:"at"`
	SID  string        `json:"sid"`
	By   string        `json:"by"`
	Text string        `json:"text"`
}

// An Outcome is what one injury did.
type Outcome struct {
	Injury  Injury        `json:"injury"`
	Allowed int           `json:"allowed"` // sessions that lived when it began and that it may end
	Lost    int           `json:"lost"`    // sessions that it is taken to have ended
	Back    time.Duration `json:"back"`    // from Began until 99 % of those clients had another session; 0 if none was lost
}

// Verdict is what Judge finds.
type Verdict struct {
	Sessions int       `json:"sessions"`
	Messages int       `json:"messages"` // received, in both directions
	Acked    int       `json:"acked"`
	Lost     int       `json:"lost"`     // sessions that ended without their client's doing
	Strays   int       `json:"strays"`   // requests that came to a node that did not make their session: no flaw, since asking does no harm
	Outcomes []Outcome `json:"outcomes"` // in the order of the injuries
	Findings []Finding `json:"findings"` // in the order of their time
}

// Sound tells whether nothing is wrong. A run in which nothing happened is not sound.
func (v Verdict) Sound() bool { return len(v.Findings) == 0 && v.Sessions > 0 && v.Messages > 0 }

// Count returns how many findings are of a flaw.
func (v Verdict) Count(f Flaw) int {
	n := 0
	for _, found := range v.Findings {
		if found.Flaw == f {
			n++
		}
	}
	return n
}

// shown bounds how many findings of one flaw String writes out.
const shown = 5

// String says what was found, a line each, and of many findings of one flaw the first.
func (v Verdict) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d sessions, %d messages, %d acknowledged, %d sessions lost, %d strays\n", v.Sessions, v.Messages, v.Acked, v.Lost, v.Strays)
	for _, o := range v.Outcomes {
		fmt.Fprintf(&b, "%s: %d of %d sessions lost", o.Injury.Fault, o.Lost, o.Allowed)
		if o.Back > 0 {
			fmt.Fprintf(&b, ", 99 %% back after %v", o.Back.Round(time.Millisecond))
		}
		b.WriteByte('\n')
	}
	by := map[Flaw][]Finding{}
	for _, f := range v.Findings {
		by[f.Flaw] = append(by[f.Flaw], f)
	}
	for _, flaw := range slices.Sorted(maps.Keys(by)) {
		fmt.Fprintf(&b, "%s: %d\n", flaw, len(by[flaw]))
		for _, f := range by[flaw][:min(shown, len(by[flaw]))] {
			fmt.Fprintf(&b, "  at %v, %s, session %s: %s\n", f.At, f.By, f.SID, f.Text)
		}
	}
	return b.String()
}
