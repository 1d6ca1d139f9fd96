package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
)

// Outcome is what became of one probe, as a closed set.
type Outcome uint8

const (
	// OK is a good probe: the connection was accepted, the status was right, the session was opened, or the node asks to be drained.
	OK Outcome = iota
	// Refused is a connection that the node's machine refused: nobody listens.
	Refused
	// Silent is a node that did not accept, or not answer, in time.
	Silent
	// Cut is a connection that the node ended before its answer was whole.
	Cut
	// WrongStatus is an answer with another status.
	WrongStatus
	// BadAnswer is an answer that is no HTTP, or that holds no session where a handshake was sent.
	BadAnswer
	// Unreachable is a name that is not known, a network without a way, and whatever else keeps from connecting.
	Unreachable
	// Unable is a probe that could not be made for want of a descriptor, a port or memory here. It counts neither for nor against the
	// node.
	Unable
)

var outcomes = [...]string{"ok", "refused", "silent", "cut", "wrong_status", "bad_answer", "unreachable", "unable"}

// String returns the metric label.
func (o Outcome) String() string { return outcomes[o] }

// finding is what one probe found.
type finding struct {
	outcome Outcome
	reason  string
	says    words // of an OK
}

// noAnswer is the reason where it cannot be that TLS is wanted.
const noAnswer = "closed without an answer"

var (
	errTLS = errors.New("TLS? it answers in TLS; write its URL with https://")
	// errHandshake is wrapped around whatever ends a TLS handshake.
	errHandshake = errors.New("TLS")
	// errNoAnswer is also what Node's https says to plain HTTP.
	errNoAnswer = errors.New(noAnswer + "; TLS, or the PROXY protocol?")
	errNoHTTP   = errors.New("no HTTP")
	errLong     = fmt.Errorf("%w: its head does not end", errNoHTTP)
)

// failure is what an error of a probe means. errNoHTTP is wrapped around whatever ends an answer, so it comes late.
func failure(err error, timeout time.Duration) finding {
	var op *net.OpError
	var dns *net.DNSError
	dialing := errors.As(err, &op) && op.Op == "dial"
	switch {
	case scarce(err):
		return finding{outcome: Unable, reason: "no descriptor, port or memory left here"}
	case timedOut(err) && dialing:
		return finding{outcome: Silent, reason: fmt.Sprintf("no connection in %v", timeout)}
	case timedOut(err):
		return finding{outcome: Silent, reason: fmt.Sprintf("no answer in %v", timeout)}
	case errors.Is(err, syscall.ECONNREFUSED):
		return finding{outcome: Refused, reason: "refused"}
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return finding{outcome: Cut, reason: "reset"}
	case errors.Is(err, errNoAnswer):
		return finding{outcome: Cut, reason: err.Error()}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return finding{outcome: Cut, reason: "closed before its answer was whole"}
	case errors.As(err, &op) && op.Op == "remote error": // an alert, which can come behind the handshake: that a certificate of ours is wanted
		return finding{outcome: BadAnswer, reason: printable(errHandshake.Error() + ": " + op.Error())}
	case errors.Is(err, errTLS), errors.Is(err, errNoHTTP), errors.Is(err, errHandshake):
		return finding{outcome: BadAnswer, reason: printable(err.Error())}
	case errors.As(err, &dns) && dns.IsNotFound:
		return finding{outcome: Unreachable, reason: "no such name"}
	}
	return finding{outcome: Unreachable, reason: printable(err.Error())}
}

func timedOut(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// scarce reports whether a connection could not be made for want of something here, which is no node's fault.
func scarce(err error) bool {
	for _, own := range []error{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, own) {
			return true
		}
	}
	return false
}

// printable returns s as a Reason may be.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	return s[:min(len(s), 100)]
}
