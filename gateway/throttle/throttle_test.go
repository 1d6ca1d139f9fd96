package throttle_test

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/throttle"
)

func client(addr string) throttle.Client { return throttle.Of(netip.MustParseAddr(addr)) }

func TestClients(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"2001:db8::1", "2001:db8::ffff:0:0:3", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"::1", "0.0.0.1", false},
		{"fe80::1%eth0", "fe80::1%eth1", true},
	} {
		if same := client(tt.a) == client(tt.b); same != tt.same {
			t.Errorf("%s and %s: the same client is %v", tt.a, tt.b, same)
		}
	}
	if throttle.Of(netip.Addr{}).Known() || !client("::").Known() || !client("0.0.0.0").Known() {
		t.Error("who is somebody?")
	}
}

// A bucket lets twice its rate through at once, has the next wait in turn, refuses who would wait too long, and fills up again.
func TestBucket(t *testing.T) {
	var b throttle.Bucket
	r := throttle.Rate{PerSecond: 10, Wait: 300 * time.Millisecond}
	now := time.Hour
	for i := range 20 {
		if wait, ok := b.Take(now, r); wait != 0 || !ok {
			t.Fatalf("%d: %v %v", i, wait, ok)
		}
	}
	for i := 1; i <= 3; i++ {
		if wait, ok := b.Take(now, r); wait != time.Duration(i)*100*time.Millisecond || !ok {
			t.Errorf("in turn %d: %v %v", i, wait, ok)
		}
	}
	if _, ok := b.Take(now, r); ok {
		t.Error("lets through what would wait for longer than it may")
	}
	if wait, ok := b.Take(now+100*time.Millisecond, r); wait != 300*time.Millisecond || !ok {
		t.Errorf("a refusal has cost a token: %v %v", wait, ok)
	}
	if wait, ok := b.Take(2*now, r); wait != 0 || !ok {
		t.Errorf("not full again: %v %v", wait, ok)
	}
	slow := throttle.Rate{PerSecond: 1. / 60}
	if _, ok := new(throttle.Bucket).Take(now, slow); !ok {
		t.Error("not even one a minute")
	}
}

// However many others come, a client that is being bounded stays so.
func TestFloodForgetsNobody(t *testing.T) {
	table, r, now := throttle.New(), throttle.Rate{PerSecond: 1}, time.Hour
	bounded := client("192.0.2.1")
	for range 2 {
		table.Take(bounded, throttle.Handshakes, now, r)
	}
	var b [16]byte
	copy(b[:], "\x20\x01\x0d\xb8")
	for i := range uint32(1 << 20) {
		binary.BigEndian.PutUint32(b[4:], i)
		if _, ok := table.Take(throttle.Of(netip.AddrFrom16(b)), throttle.Requests, now, r); !ok {
			t.Fatal("a client that came once was refused")
		}
	}
	if _, ok := table.Take(bounded, throttle.Handshakes, now, r); ok {
		t.Error("was thrown out")
	}
	if _, ok := table.Take(bounded, throttle.Requests, now, r); !ok {
		t.Error("another kind is bounded too")
	}
}

// Loops share a table: no token is given twice.
func TestTogether(t *testing.T) {
	table, r := throttle.New(), throttle.Rate{PerSecond: 500}
	var took [4]int
	var loops sync.WaitGroup
	for i := range took {
		loops.Go(func() {
			for range 1000 {
				if _, ok := table.Take(client("192.0.2.1"), throttle.Requests, time.Hour, r); ok {
					took[i]++
				}
			}
		})
	}
	loops.Wait()
	if sum := took[0] + took[1] + took[2] + took[3]; sum != 1000 {
		t.Errorf("%d of 1000", sum)
	}
}

func TestCounts(t *testing.T) {
	var n throttle.Counts
	a, b := client("192.0.2.1"), client("192.0.2.2")
	if n.Add(a) != 1 || n.Add(a) != 2 || n.Add(b) != 1 {
		t.Error("counts wrongly")
	}
	n.Remove(a)
	n.Remove(a)
	if got := n.Add(a); got != 1 {
		t.Errorf("%d after all were removed", got)
	}
}

func BenchmarkTake(b *testing.B) {
	table, r := throttle.New(), throttle.Rate{PerSecond: 1e9}
	c := client("192.0.2.1")
	b.ReportAllocs()
	now := time.Hour
	for b.Loop() {
		now += time.Microsecond
		table.Take(c, throttle.Requests, now, r)
	}
}
