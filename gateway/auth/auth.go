// Package auth decides whether a client may have a session: by a token that it brings (JWT), or by asking a server (Forward).
//
//	g, err := auth.NewJWT(auth.JWTOptions{Keys: keys, Issuer: "https://id.example.com", Required: true})
//	verdict, later := g.Judge(&auth.Ask{Token: token})
//	if later != nil {
//		verdict = later() // on a goroutine that may block
//	}
//
// Where a token stands in a request, and what of it a node gets, is package request's business. No error and no verdict holds a token.
package auth

import (
	"cmp"
	"runtime"
	"sync/atomic"
)

// Outcome is what a Gate says of a request. It is a closed set, fit for a metric's label.
type Outcome uint8

// The outcomes.
const (
	Granted     Outcome = iota
	Missing             // there is no token
	Expired             // its time is over
	Signature           // it is no token, its signature is wrong, or no key fits its algorithm
	Kid                 // no key has the id that it names
	Early               // its time has not come
	Issuer              // it is by somebody else, or does not say by whom
	Audience            // it is for somebody else, or does not say for whom
	Claims              // a claim is of another kind than it should be, or can be no header
	Denied              // the server that was asked says no
	Unreachable         // the key may be on its way, or the server cannot be asked, or not in time
	Outcomes            // how many there are
)

var outcomes = [Outcomes]struct{ label, words string }{
	{"granted", "let in"},
	{"missing", "no token where auth.jwt.from looks for one"},
	{"expired", "the token's time is over"},
	{"signature", "no token, a wrong signature, or no key for its algorithm"},
	{"kid", "no key of this id"},
	{"early", "by nbf or iat the token's time has not come: are the clocks right?"},
	{"issuer", "the token's iss is not auth.jwt.issuer"},
	{"audience", "the token's aud has none of auth.jwt.audience"},
	{"claims", "a claim is of another kind than it should be, or can be no header"},
	{"denied", "the server of auth.forward says no"},
	{"unreachable", "who knows cannot be asked, or not in time"},
}

// String returns the metric label.
func (o Outcome) String() string { return outcomes[o].label }

// Field is a field of a head, for the node.
type Field struct{ Name, Value string }

// Verdict is what becomes of a request.
type Verdict struct {
	Outcome Outcome
	Fields  []Field // that the node gets of the client, in place of any that the client has sent under these names
	Ends    int64   // when the session ends, in seconds since 1970; 0: by itself
	Why     string  // more of the outcome than it says itself; empty: there is no more
}

// Words says what the verdict means.
func (v Verdict) Words() string { return cmp.Or(v.Why, outcomes[v.Outcome].words) }

// Ask is what a Gate is told of a request. It must stay as it is until there is a verdict.
type Ask struct {
	Token  string // empty where there is none
	Method string
	Host   string
	URI    string
	Proto  string // http or https
	For    string // the client's address
	Header func(name string) string
}

// Gate lets clients in, or not. Its methods may be called concurrently.
type Gate interface {
	// Judge returns a verdict, or what gives it, to be called once: that may block for as long as the gate's own time limit. Judge
	// itself does not block.
	Judge(a *Ask) (Verdict, func() Verdict)
	// Fault returns why the last look-up has failed, nil where it has not. asks is false for a gate that has nobody to ask.
	Fault() (f *Fault, asks bool)
	// Close ends what the gate does in the background, and waits for it. It asks nobody any more.
	Close()
}

var _ Gate = (*JWT)(nil)

// mostWaiting bounds the requests that wait for their verdict at a gate, each with a goroutine.
const mostWaiting = 4096

// turns bounds how many verdicts are worked for at a time.
type turns struct {
	waiting atomic.Int64
	free    chan struct{}
}

func newTurns(n int) *turns { return &turns{free: make(chan struct{}, n)} }

// enter takes a place among those that wait, and reports whether there was one.
func (t *turns) enter() bool {
	if t.waiting.Add(1) > mostWaiting {
		t.waiting.Add(-1)
		return false
	}
	return true
}

func (t *turns) leave() { t.waiting.Add(-1) }

// halfOfProcessors leaves the event loops the others, however many tokens wait to be verified.
func halfOfProcessors() int { return max(1, runtime.NumCPU()/2) }
