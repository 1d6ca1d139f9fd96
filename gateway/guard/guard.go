// Package guard knows what is sent to nodes to do them harm by a defect that was published, and that no client sends for any other
// reason. Each rule can refuse such requests, or only report them.
package guard

import "cmp"

// Rule is one kind of harmful request.
type Rule uint8

// The rules.
const (
	EIOMismatch Rule = iota
	InheritedSID
	BinaryPayload
	Attachments
	EventName
	rules
)

// About tells people of a rule.
type About struct {
	ID    string   // in the configuration, metrics and the log
	Stops string   // what it refuses
	Saves string   // the versions that take harm from it
	By    []string // the advisories
}

var about = [rules]About{
	EIOMismatch: {
		ID: "eio-mismatch", Stops: "a request of a session whose EIO is another than the session's",
		Saves: "engine.io 6.6.0 to 6.6.9 end at such an upgrade", By: []string{"CVE-2026-102599"},
	},
	InheritedSID: {
		ID: "inherited-sid", Stops: "a sid that every object of JavaScript has, as __proto__",
		Saves: "engine.io up to 6.6.6 ends if WebTransport brings one", By: []string{"CVE-2026-102600", "GHSA-gr94-w7qr-f4j3"},
	},
	BinaryPayload: {
		ID: "binary-payload", Stops: "a POST of application/octet-stream in a session of EIO 4",
		Saves: "engine.io up to 6.6.6 never answers it, and its connection stays", By: []string{"CVE-2026-59725", "GHSA-r635-g3xr-vw7x"},
	},
	Attachments: {
		ID: "attachments", Stops: "a packet that announces none, no number, or more than guard.max_attachments binary attachments",
		Saves: "socket.io-parser up to 4.2.6, 3.4.4 and 3.3.5 waits for them and fills its memory", By: []string{"CVE-2026-33151", "CVE-2026-69185"},
	},
	EventName: {
		ID: "event-name", Stops: "an event whose name is neither text nor a number",
		Saves: "socket.io-parser up to 4.2.2 and 3.4.2 ends at it", By: []string{"CVE-2023-32695"},
	},
}

// All are the rules, in the order in which they are told of.
func All() (all []Rule) {
	for r := range rules {
		all = append(all, r)
	}
	return all
}

// About tells of the rule.
func (r Rule) About() About { return about[r] }

// String returns the rule's ID.
func (r Rule) String() string { return about[r].ID }

// Find returns the rule with an ID.
func Find(id string) (r Rule, ok bool) {
	for r, a := range about {
		if a.ID == id {
			return Rule(r), true
		}
	}
	return 0, false
}

// IDs are those of all rules.
func IDs() (ids []string) {
	for _, a := range about {
		ids = append(ids, a.ID)
	}
	return ids
}

// Set is a set of rules.
type Set uint8

// Add puts a rule in the set.
func (s *Set) Add(r Rule) { *s |= 1 << r }

// Has reports whether a rule is in the set.
func (s Set) Has(r Rule) bool { return s&(1<<r) != 0 }

// DefaultAttachments is as many as socket.io-parser takes by default since 4.2.6.
const DefaultAttachments = 10

// Policy is what is done for the nodes of one cluster.
type Policy struct {
	Report         Set  // the rules that only report
	MaxAttachments int  // of one packet; 0: DefaultAttachments
	Frames         bool // packets in WebSockets are looked at too
}

// Most is how many attachments a packet may announce.
func (p *Policy) Most() int { return cmp.Or(p.MaxAttachments, DefaultAttachments) }
