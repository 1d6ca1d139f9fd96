package affinity_test

import (
	"math"
	"net/url"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
)

func TestEncode(t *testing.T) {
	if got := affinity.Encode(affinitytest.Example); got != "1 4 25000 20000 1000000 n1" {
		t.Errorf("encoded as %q: an older replica must read it", got)
	}
	b := affinitytest.Example
	b.Ends, b.JSONP, b.Alias = 1800000000, true, "x-1_Y"
	if got := affinity.Encode(b); got != "1 4 25000 20000 1000000 n1 end=1800000000 jsonp sid=x-1_Y" {
		t.Errorf("encoded as %q: an older replica ignores what is at the end", got)
	}
	b = affinitytest.Example
	b.Unproven = true
	if got := affinity.Encode(b); got != "2 4 25000 20000 1000000 n1" {
		t.Errorf("encoded as %q: an older replica must not read it", got)
	}
	b.Refusal = `44/a,{"message":"no &+"}`
	if got, err := affinity.Decode(affinity.Encode(b)); err != nil || got != b {
		t.Errorf("got %+v, %v", got, err)
	}
	if affinity.Encode(affinity.Binding{Node: "n1", Version: 4}) != "1 4 0 0 0 n1" {
		t.Error("a value without the fields is of a session that is proven")
	}
}

// What is encoded is read back the same.
func FuzzEncode(f *testing.F) {
	f.Add("n1", 4, uint32(25000), uint32(20000), int64(1_000_000), int64(0), false, "", false, "")
	f.Add("a b;%1\n", 3, uint32(0), uint32(1), int64(math.MaxInt64), int64(math.MaxInt64), true, "abc-_~.9", true, "44{}\x1e44/a,{}")
	f.Add("n1", 4, uint32(0), uint32(0), int64(0), int64(0), false, "a b\r\n&c", true, "")
	f.Fuzz(func(t *testing.T, node string, version int, interval, timeout uint32, payload, ends int64, jsonp bool, alias string, unproven bool, refusal string) {
		const day = 24 * 60 * 60 * 1000
		if url.QueryEscape(alias) != alias { // no sid
			alias = ""
		}
		b := affinity.Binding{
			Node: node, Version: version, MaxPayload: payload, Ends: ends, JSONP: jsonp, Alias: alias, Unproven: unproven, Refusal: refusal,
			PingInterval: time.Duration(interval%day) * time.Millisecond, PingTimeout: time.Duration(timeout%day) * time.Millisecond,
		}
		got, err := affinity.Decode(affinity.Encode(b))
		if valid := node != "" && version >= 0 && version <= math.MaxInt32 && payload >= 0 && ends >= 0; (err == nil) != valid {
			t.Errorf("%+v: %v", b, err)
		}
		if err == nil && got != b {
			t.Errorf("got %+v, want %+v", got, b)
		}
	})
}

// Any value is read or refused, and what is read makes a sensible binding.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		"1 4 25000 20000 1000000 n1", "1 3 0 0 0 a+b%2F later", "1", "", "2 4 1 1 1 n", "1 4 -1 1 1 n",
		"1 4 1 1 1 n more end=1800000000 more", "1 4 1 1 1 n sid=a%20b", "2 4 1 1 1 n refusal=44%7B%7D", "2 4 1 1 1 n refusal=%zz", "1 4 1 1 1 n sid=ab", "1 4 1 1 1 n end=-1", "1 4 1 1 1 ", "1 4 9223372036854775807 1 1 n", "1  4 1 1 1 n", "1 4 +1 1 1 n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		b, err := affinity.Decode(value)
		if err != nil {
			return
		}
		if b.Node == "" || b.TTL() <= 0 || b.TTL() > 96*time.Hour || b.MaxPayload < 0 {
			t.Errorf("%q = %+v, TTL %v", value, b, b.TTL())
		}
		if again, err := affinity.Decode(affinity.Encode(b)); err != nil || again != b {
			t.Errorf("%q = %+v, again %+v, %v", value, b, again, err)
		}
	})
}

func TestTTLAndDue(t *testing.T) {
	for _, c := range []struct {
		interval, timeout, want time.Duration
	}{
		{0, 0, 67500 * time.Millisecond},
		{25 * time.Second, 20 * time.Second, 67500 * time.Millisecond},
		{25 * time.Second, 0, 67500 * time.Millisecond},
		{time.Second, time.Second, 17 * time.Second},
		{20 * time.Second, 10 * time.Second, 45 * time.Second},
		{-time.Second, -1, 67500 * time.Millisecond},
		{math.MaxInt64, math.MaxInt64, 72 * time.Hour},
	} {
		b := affinity.Binding{PingInterval: c.interval, PingTimeout: c.timeout}
		if got := b.TTL(); got != c.want {
			t.Errorf("TTL of %v + %v = %v, want %v", c.interval, c.timeout, got, c.want)
		}
		now := time.Now()
		b.Expires = now.Add(b.TTL())
		third := b.TTL() / 3
		if b.Due(now) || b.Due(now.Add(third-time.Second)) || !b.Due(now.Add(third+time.Second)) || !b.Due(b.Expires.Add(time.Hour)) {
			t.Errorf("TTL %v: due at the wrong time", b.TTL())
		}
	}
	if !(affinity.Binding{}).Due(time.Now()) {
		t.Error("a binding that no Lookup returned must be due")
	}
}
