// Package discover finds the nodes of a cluster while it runs: in DNS, or in Kubernetes.
//
//	s := &discover.Kubernetes{Service: "chat", Port: "http"}
//	err := s.Run(ctx, func(nodes []discover.Found) { … }, func(err error) { … })
//
// It only reports. It asks no node whether it is well, keeps no node that its source no longer has, and decides nothing about
// sessions: that is for whoever is told.
package discover

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Found is one node that a source knows of.
type Found struct {
	Name        string            // no two in a list have the same; it stays while the node lives
	Address     string            // host:port
	Weight      int               // 1 to 1000
	Labels      map[string]string // nil, or zone
	Terminating bool              // it serves the sessions it has, and is about to end
}

// Source is where a cluster's nodes are listed.
type Source interface {
	// Run calls found with the whole list, in the order of names, when it is known and each time it has changed, until ctx is done;
	// then it returns nil, and no call comes any more. While the source cannot be asked the last list stays, and an error that lasts is
	// told by problem, once, and again when it has become another or the list has become empty; nil says that it is over. The calls come one after the other from Run's
	// goroutine, which waits for them. Run returns an error only for settings that cannot work.
	Run(ctx context.Context, found func([]Found), problem func(error)) error
}

var (
	_ Source = (*DNS)(nil)
	_ Source = (*Kubernetes)(nil)
)

// lasting is how many failures in a row make an error that lasts.
const lasting = 3

// news tells what has changed, and nothing twice.
type news struct {
	found   func([]Found)
	problem func(error)

	known bool // there was a list
	last  []Found
	fails int
	told  string
}

func (n *news) list(l []Found) {
	slices.SortFunc(l, func(a, b Found) int { return strings.Compare(a.Name, b.Name) })
	if n.known && slices.EqualFunc(n.last, l, equal) {
		return
	}
	n.known, n.last = true, l
	if len(l) == 0 {
		n.told = "" // what is wrong weighs more now
	}
	n.found(slices.Clone(l))
}

func equal(a, b Found) bool {
	return a.Name == b.Name && a.Address == b.Address && a.Weight == b.Weight && a.Terminating == b.Terminating && maps.Equal(a.Labels, b.Labels)
}

// failed tells of an error that lasts; where there is no list yet, each one counts.
func (n *news) failed(err error) {
	if n.fails++; n.fails >= lasting || !n.known {
		n.wrong(err)
	}
}

// wrong tells of an error that does not pass by itself.
func (n *news) wrong(err error) {
	if text := err.Error(); text != n.told {
		n.told = text
		n.problem(err)
	}
}

func (n *news) well() {
	n.fails = 0
	if n.told != "" {
		n.told = ""
		n.problem(nil)
	}
}

const (
	// longestPause is how long at most a source is not asked after a failure,
	longestPause = 15 * time.Second
	// hungryPause the same while there is no list, and nobody can be served.
	hungryPause = 2 * time.Second
)

// backoff says how long to wait after failures in a row: about first, then twice as long, up to most. Replicas that failed together
// do not come back together.
type backoff struct {
	first time.Duration
	fails int
}

func (b *backoff) next(most time.Duration) time.Duration {
	d := min(b.first<<min(b.fails, 10), most*2/3)
	b.fails++
	return d/2 + rand.N(d)
}

// longest is how long at most to wait after a failure.
func (n *news) longest() time.Duration {
	if n.known {
		return longestPause
	}
	return hungryPause
}

// sleep waits. It ends early with ctx, and after a second if again says so.
func sleep(ctx context.Context, d time.Duration, again <-chan struct{}) {
	began := time.Now()
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			return
		case <-ctx.Done():
			return
		case <-again:
			t.Reset(min(d, max(0, time.Second-time.Since(began))))
			again = nil
		}
	}
}

// plain leaves out what differs each time that the same thing happens, such as the local port of a connection.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var op *net.OpError
	if !errors.As(err, &op) {
		return err
	}
	if op.Op == "dial" && op.Addr != nil {
		return fmt.Errorf("%s: %w", op.Addr, op.Err)
	}
	return op.Err
}
