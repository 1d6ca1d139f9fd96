package engineio_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/sidway/sidway/engineio"
)

const (
	sid = "TO9gdy7dDtqtZNAYAAAB"
	ok  = "EIO=4&transport=polling" // a query to which more is added
)

func TestParseQueryReads(t *testing.T) {
	for _, c := range []struct {
		raw  string
		want engineio.Query
	}{
		{"EIO=4&transport=polling", engineio.Query{Version: 4}},
		{"transport=polling", engineio.Query{Version: 3}},
		{"EIO=3&transport=polling", engineio.Query{Version: 3}},
		{"EIO=4&transport=websocket", engineio.Query{Version: 4, Transport: engineio.WebSocket}},
		{"EIO=4&transport=polling&t=Pa3k&sid=" + sid, engineio.Query{Version: 4, SID: sid}},
		{"sid=" + sid + "&transport=polling&EIO=4", engineio.Query{Version: 4, SID: sid}},
		{"EIO=3&transport=polling&j=0&b64=1", engineio.Query{Version: 3, JSONP: "0", Base64: true}},
		{"EIO=3&transport=polling&j=0123456789", engineio.Query{Version: 3, JSONP: "0123456789"}},
		{"EIO=3&transport=polling&b64=", engineio.Query{Version: 3}},
		{"EIO=4&transport=polling&sid=a-b.c_d~e", engineio.Query{Version: 4, SID: "a-b.c_d~e"}},
		{"EIO=4&transport=polling&sid=" + strings.Repeat("a", 128), engineio.Query{Version: 4, SID: strings.Repeat("a", 128)}},

		// What applications add by socket.io-client's option "query" is theirs.
		{"user%20name=J%C3%B6rg&EIO=4&transport=polling&t=x", engineio.Query{Version: 4}},
		{"%F0%9F%98%80=1&a=%zz&EIO=4&transport=polling", engineio.Query{Version: 4}},
		{"EIO=4&transport=polling&token=a=b==&SID=x&eio=9&Transport=y", engineio.Query{Version: 4}},
		{"EIO=4&transport=polling&%2525=1&%25zz=2", engineio.Query{Version: 4}},
		{"EIO=4&transport=polling&&", engineio.Query{Version: 4}},
		{"EIO=4&transport=polling&" + strings.Repeat("&", 29) + "a", engineio.Query{Version: 4}},
	} {
		if got, err := engineio.ParseQuery(c.raw); err != nil || got != c.want {
			t.Errorf("ParseQuery(%q) = %+v, %v; want %+v", c.raw, got, err, c.want)
		}
	}
}

func TestHasQuery(t *testing.T) {
	for raw, want := range map[string]bool{
		"": false, "v=1": false, "v=4.8.3&t=x": false, "a=EIO": false, "eio=4": false, "a=1&&=2;": false, "j=1": false,
		"EIO=4": true, "v=1&transport=polling": true, "sid": true, "v=1;EIO=4": true, ";sid=a": true,
		"%45IO=4": true, "v=1&%2573id=a": true, "%zz": true,
	} {
		if got := engineio.HasQuery(raw); got != want {
			t.Errorf("HasQuery(%q) = %v", raw, got)
		}
	}
}

func TestShortSID(t *testing.T) {
	for sid, want := range map[string]string{
		"": "", "1": "…", "abc": "…", "abcd": "a…", "abcdefghijkl": "abc…", sid: "TO9g…", strings.Repeat("a", 128): "aaaa…",
	} {
		if got := engineio.ShortSID(sid); got != want {
			t.Errorf("ShortSID(%q) = %q, want %q", sid, got, want)
		}
	}
}

// refusedQueries are refused, each with the error that nodes would give.
var refusedQueries = []struct {
	raw  string
	want *engineio.Error
}{
	{"", engineio.ErrTransportUnknown},
	{"EIO=4", engineio.ErrTransportUnknown},
	{"EIO=4&transport=", engineio.ErrTransportUnknown},
	{"EIO=4&transport=Polling", engineio.ErrTransportUnknown},
	{"EIO=4&transport=webtransport", engineio.ErrTransportUnknown},
	{"EIO=4&transport=%70olling", engineio.ErrTransportUnknown},
	{"EIO=4&transport=+polling", engineio.ErrTransportUnknown},
	{"EIO=5&transport=foo", engineio.ErrTransportUnknown},

	{"EIO=5&transport=polling", engineio.ErrUnsupportedVersion},
	{"EIO=&transport=polling", engineio.ErrUnsupportedVersion},
	{"EIO&transport=polling", engineio.ErrUnsupportedVersion},
	{"EIO=2&transport=polling", engineio.ErrUnsupportedVersion},
	{"EIO=04&transport=polling", engineio.ErrUnsupportedVersion},
	{"EIO=%34&transport=polling", engineio.ErrUnsupportedVersion},

	// Two parsers, two sids.
	{ok + "&sid=a&sid=b", engineio.ErrBadRequest},
	{ok + "&sid=a&sid=a", engineio.ErrBadRequest},
	{ok + "&sid=a&b=1;sid=b", engineio.ErrBadRequest},
	{ok + "&sid=a;b", engineio.ErrBadRequest},
	{ok + "&transport=websocket", engineio.ErrBadRequest},
	{ok + "&EIO=3", engineio.ErrBadRequest},
	{ok + "&a=1&a=2", engineio.ErrBadRequest},
	{ok + "&sid=a#", engineio.ErrBadRequest},
	{ok + "&sid=a\t", engineio.ErrBadRequest},
	{ok + "&s\nid=a", engineio.ErrBadRequest},
	{ok + "&a b=a", engineio.ErrBadRequest},
	{ok + "&a=\x7f", engineio.ErrBadRequest},
	{ok + "&" + strings.Repeat("&", 30) + "a", engineio.ErrBadRequest},

	// The protocol's names in disguise.
	{ok + "&%73id=a", engineio.ErrBadRequest},
	{ok + "&sid=a&si%64=b", engineio.ErrBadRequest},
	{ok + "&%2573id=a", engineio.ErrBadRequest},
	{ok + "&%25%37%33id=a", engineio.ErrBadRequest},
	{ok + "&%45IO=3", engineio.ErrBadRequest},
	{ok + "&%6A=3", engineio.ErrBadRequest},
	{ok + "&%6a=3", engineio.ErrBadRequest},
	{ok + "&b%36%34=1", engineio.ErrBadRequest},
	{"EIO=4&%74%72%61%6e%73%70%6f%72%74=polling", engineio.ErrBadRequest},
	{"EIO=4&%2574%2572%2561%256e%2573%2570%256f%2572%2574=polling", engineio.ErrBadRequest},
	{ok + "&a%=1", engineio.ErrBadRequest},
	{ok + "&a%2=1", engineio.ErrBadRequest},
	{ok + "&a%zz=1", engineio.ErrBadRequest},

	{ok + "&sid", engineio.ErrBadRequest},
	{ok + "&sid=", engineio.ErrBadRequest},
	{ok + "&sid=a%41", engineio.ErrBadRequest},
	{ok + "&sid=a+b", engineio.ErrBadRequest},
	{ok + "&sid=a/b", engineio.ErrBadRequest},
	{ok + "&sid=a=b", engineio.ErrBadRequest},
	{ok + "&sid=ä", engineio.ErrBadRequest},
	{ok + "&sid=" + strings.Repeat("a", 129), engineio.ErrBadRequest},
	{ok + "&j", engineio.ErrBadRequest},
	{ok + "&j=", engineio.ErrBadRequest},
	{ok + "&j=1x", engineio.ErrBadRequest},
	{ok + "&j=-1", engineio.ErrBadRequest},
	{ok + "&j=01234567890", engineio.ErrBadRequest},
}

func TestParseQueryRefuses(t *testing.T) {
	for _, c := range refusedQueries {
		if q, err := engineio.ParseQuery(c.raw); err != error(c.want) {
			t.Errorf("ParseQuery(%q) = %+v, %v; want %v", c.raw, q, err, c.want)
		}
	}
}

func TestParseQueryDoesNotAllocate(t *testing.T) {
	for _, raw := range []string{
		"EIO=4&transport=polling&t=Pa3kQ1&sid=" + sid,
		"EIO=4&transport=polling&user%20name=x&sid=" + sid,
		"EIO=4&transport=polling&sid=a&sid=b",
		"EIO=9&transport=polling",
	} {
		if n := testing.AllocsPerRun(100, func() { _, _ = engineio.ParseQuery(raw) }); n != 0 {
			t.Errorf("ParseQuery(%q) allocates %v times", raw, n)
		}
	}
}

func BenchmarkParseQuery(b *testing.B) {
	const raw = "EIO=4&transport=polling&t=Pa3kQ1&sid=" + sid
	b.ReportAllocs()
	for b.Loop() {
		if _, err := engineio.ParseQuery(raw); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzParseQuery holds ParseQuery against net/url: of a query that is accepted net/url reads the same values, each of
// them once.
func FuzzParseQuery(f *testing.F) {
	for _, raw := range []string{
		"EIO=4&transport=polling&t=Pa3kQ1&sid=" + sid,
		"EIO=3&transport=polling&j=7&b64=1",
		"EIO=4&transport=websocket&%73id=a&sid=b",
		"transport=polling&sid=a;sid=b", "transport=polling&sid=a#&sid=b",
		"transport=polling&a%=1", "transport=polling&%2573id=a", "&&=&a", "transport=polling&+sid=1&sid+=2",
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := engineio.ParseQuery(raw)
		if err != nil {
			if _, known := err.(*engineio.Error); !known {
				t.Fatalf("%T", err)
			}
			return
		}
		// net/url drops a parameter whose value is malformed; such a value is not one of the protocol's.
		values, _ := url.ParseQuery(raw)
		for name, want := range map[string]string{
			"sid": q.SID, "transport": q.Transport.String(), "j": q.JSONP,
		} {
			if got := values[name]; len(got) > 1 || values.Get(name) != want {
				t.Errorf("%s: %q reads %q here, %q there", raw, name, want, got)
			}
		}
		if eio := values["EIO"]; len(eio) > 1 || (q.Version == 4) != (values.Get("EIO") == "4") {
			t.Errorf("%s: version %d here, EIO %q there", raw, q.Version, eio)
		}
		again, err := url.ParseQuery(strings.ReplaceAll(raw, "%25", "%"))
		if err == nil && len(again["sid"]) > 1 {
			t.Errorf("%s: a proxy that decodes first makes two sids of it", raw)
		}
	})
}
