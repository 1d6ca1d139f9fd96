package health_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidway/sidway/gateway/health"
)

// scriptedNet stands for the network where time is synctest's: a dial of an address returns its error, or a connection for nil.
type scriptedNet struct {
	mu    sync.Mutex
	errs  map[string]error
	dials map[string][]time.Time
}

func (n *scriptedNet) dial(_ context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.dials == nil {
		n.dials = map[string][]time.Time{}
	}
	n.dials[address] = append(n.dials[address], time.Now())
	if err := n.errs[address]; err != nil {
		return nil, err
	}
	conn, other := net.Pipe()
	other.Close()
	return conn, nil
}

func (n *scriptedNet) set(address string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.errs == nil {
		n.errs = map[string]error{}
	}
	n.errs[address] = err
}

var errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}

func nodes(count int) []health.Node {
	all := make([]health.Node, count)
	for i := range all {
		all[i] = health.Node{Name: fmt.Sprintf("n%d", i+1), Address: fmt.Sprintf("n%d:80", i+1)}
	}
	return all
}

// within demands d to be want, give or take a tenth.
func within(t *testing.T, what string, d, want time.Duration) {
	t.Helper()
	if d < want*9/10 || d > want*11/10 {
		t.Errorf("%s: after %v, not %v", what, d, want)
	}
}

// story is a prober of n1 on a scripted net, whose verdicts come one by one.
type story struct {
	t        *testing.T
	net      scriptedNet
	p        *health.Prober
	verdicts chan health.Verdict
	at       time.Time // of the last verdict
}

func newStory(t *testing.T, s health.Settings) *story {
	y := &story{t: t, verdicts: make(chan health.Verdict)}
	y.p = health.New(health.Options{Tell: func(v health.Verdict) { y.verdicts <- v }, Dial: y.net.dial})
	y.p.Update(s, nodes(1))
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = y.p.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return y
}

// next demands what the next probe leads to, and returns how long it was to come.
func (y *story) next(outcome health.Outcome, healthy, changed bool, reason string) time.Duration {
	y.t.Helper()
	v := <-y.verdicts
	if v.Outcome != outcome || v.Healthy != healthy || v.Changed != changed || v.Reason != reason {
		y.t.Errorf("%+v", v)
	}
	if last, ok := y.p.Last("n1"); !ok || last != v {
		y.t.Errorf("last %+v", last)
	}
	since := v.At.Sub(y.at)
	y.at = v.At
	return since
}

func TestRiseAndFall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newStory(t, health.Settings{})
		if _, ok := y.p.Last("n1"); ok {
			t.Error("a verdict before any probe")
		}
		y.next(health.OK, true, false, "")
		within(t, "a good probe", y.next(health.OK, true, false, ""), 5*time.Second)
		y.net.set("n1:80", errRefused)
		within(t, "a good probe", y.next(health.Refused, true, false, "refused"), 5*time.Second)
		within(t, "a failed one", y.next(health.Refused, true, false, "refused"), time.Second)
		y.net.set("n1:80", nil)
		within(t, "a second", y.next(health.OK, true, false, ""), time.Second)
		y.net.set("n1:80", errRefused)
		within(t, "a good one that ends the row", y.next(health.Refused, true, false, "refused"), 5*time.Second)
		y.next(health.Refused, true, false, "refused")
		within(t, "the second of a new row", y.next(health.Refused, false, true, "refused"), time.Second)
		within(t, "the verdict", y.next(health.Refused, false, false, "refused"), 5*time.Second)
		y.net.set("n1:80", nil)
		within(t, "the same", y.next(health.OK, false, false, "refused"), 5*time.Second)
		y.net.set("n1:80", io.ErrClosedPipe)
		within(t, "a good one", y.next(health.Unreachable, false, false, "io: read/write on closed pipe"), time.Second)
		y.net.set("n1:80", nil)
		y.next(health.OK, false, false, "io: read/write on closed pipe")
		within(t, "the first that is good", y.next(health.OK, true, true, ""), time.Second)
		within(t, "the verdict", y.next(health.OK, true, false, ""), 5*time.Second)
	})
}

func TestShortIntervalsAreHurriedNoMore(t *testing.T) {
	for interval, hurried := range map[time.Duration]time.Duration{
		100 * time.Millisecond: 100 * time.Millisecond,
		time.Second:            250 * time.Millisecond,
		time.Minute:            12 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			y := newStory(t, health.Settings{Interval: interval, Fall: 2, Rise: 1})
			y.net.set("n1:80", errRefused)
			y.next(health.Refused, true, false, "refused")
			within(t, "a failed probe", y.next(health.Refused, false, true, "refused"), hurried)
			y.net.set("n1:80", nil)
			within(t, "the verdict", y.next(health.OK, true, true, ""), interval)
		})
	}
}

// What lacks here is no node's fault.
func TestShortageHereCountsForNothing(t *testing.T) {
	const reason = "no descriptor, port or memory left here"
	synctest.Test(t, func(t *testing.T) {
		y := newStory(t, health.Settings{Fall: 2})
		for _, own := range []error{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOMEM} {
			y.net.set("n1:80", &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", own)})
			y.next(health.Unable, true, false, reason)
		}
		y.net.set("n1:80", errRefused)
		y.next(health.Refused, true, false, "refused")
		y.net.set("n1:80", syscall.EMFILE)
		within(t, "a failed one", y.next(health.Unable, true, false, reason), time.Second)
		y.net.set("n1:80", errRefused)
		within(t, "one that could not be made", y.next(health.Refused, false, true, "refused"), time.Second)
	})
}

func TestReasons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newStory(t, health.Settings{Fall: 100})
		for _, c := range []struct {
			err     error
			outcome health.Outcome
			reason  string
		}{
			{&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "n1", IsNotFound: true}}, health.Unreachable, "no such name"},
			{&net.OpError{Op: "dial", Err: &net.DNSError{Err: "timeout", Name: "n1", IsTimeout: true}}, health.Silent, "no connection in 2s"},
			{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EHOSTUNREACH)}, health.Unreachable, "dial: connect: no route to host"},
			{&net.OpError{Op: "remote error", Err: tls.AlertError(116)}, health.BadAnswer, "TLS: remote error: tls: certificate required"},
			{errors.New("é" + strings.Repeat("x\x00", 100)), health.Unreachable, strings.Repeat("?x", 50)},
		} {
			y.net.set("n1:80", c.err)
			y.next(c.outcome, true, false, c.reason)
		}
	})
}

// Neither nodes nor replicas probe in step, though all begin at once.
func TestJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const count = 50
		var n scriptedNet
		p := health.New(health.Options{Tell: func(health.Verdict) {}, Dial: n.dial})
		p.Update(health.Settings{Interval: 10 * time.Second}, nodes(count))
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 1000*time.Second)
		defer cancel()
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
		var sum, squares, first float64
		pauses := 0
		moments := map[time.Time]bool{}
		for _, dials := range n.dials {
			first += dials[0].Sub(start).Seconds()
			for i, at := range dials {
				moments[at] = true
				if i > 0 {
					pause := at.Sub(dials[i-1])
					within(t, "a probe", pause, 10*time.Second)
					sum += pause.Seconds()
					squares += pause.Seconds() * pause.Seconds()
					pauses++
				}
			}
		}
		mean := sum / float64(pauses)
		deviation := math.Sqrt(squares/float64(pauses) - mean*mean)
		// Evenly between 9 and 11 s: the deviation is 2/√12. About 5,000 pauses: the mean's is 0.008.
		if pauses < 4900 || math.Abs(mean-10) > 0.05 || math.Abs(deviation-0.577) > 0.03 {
			t.Errorf("%d pauses, mean %v, deviation %v", pauses, mean, deviation)
		}
		if len(moments) < pauses {
			t.Errorf("%d probes at %d moments", pauses+count, len(moments))
		}
		if first /= count; first < 0.6 || first > 1.4 { // evenly in 2 s
			t.Errorf("the first probes come after %v s", first)
		}
	})
}

// Two hundred nodes, most of which hang: no more probes at a time than allowed, and the others are probed in time all the same.
func TestManyNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var flying, most atomic.Int64
		hanging := map[string]bool{}
		all := nodes(200)
		for _, n := range all[:150] {
			hanging[n.Address] = true
		}
		var good scriptedNet
		verdicts := map[string]health.Verdict{}
		dial := func(ctx context.Context, network, address string) (net.Conn, error) {
			most.Store(max(most.Load(), flying.Add(1)))
			defer flying.Add(-1)
			if hanging[address] {
				<-ctx.Done()
				return nil, &net.OpError{Op: "dial", Err: ctx.Err()}
			}
			return good.dial(ctx, network, address)
		}
		p := health.New(health.Options{Tell: func(v health.Verdict) { verdicts[v.Node] = v }, Dial: dial})
		p.Update(health.Settings{Interval: time.Second, Timeout: time.Second}, all)
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
		if most.Load() != health.MaxInFlight {
			t.Errorf("%d probes at a time", most.Load())
		}
		for _, n := range all {
			if v := verdicts[n.Name]; v.Healthy == hanging[n.Address] {
				t.Errorf("%+v", v)
			}
		}
		for address, dials := range good.dials {
			for i := range dials[1:] {
				if pause := dials[i+1].Sub(dials[i]); pause > 4*time.Second {
					t.Errorf("%s was not probed for %v", address, pause)
				}
			}
		}
		if v := verdicts["n1"]; v.Reason != "no connection in 1s" || v.Took != time.Second {
			t.Errorf("%+v", v)
		}
	})
}

func TestOutcomesHaveLabels(t *testing.T) {
	labels := map[string]bool{}
	for o := health.OK; o <= health.Unable; o++ {
		labels[o.String()] = true
	}
	if len(labels) != int(health.Unable)+1 || labels[""] {
		t.Error(slices.Collect(maps.Keys(labels)))
	}
}
