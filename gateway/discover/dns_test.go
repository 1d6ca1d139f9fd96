package discover_test

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/sidway/sidway/gateway/discover"
)

const soon = 5 * time.Millisecond

func chat(service string) discover.DNS { return discover.DNS{Address: service, Interval: soon} }

func TestAddressesAreNodes(t *testing.T) {
	s := newNameServer(t)
	s.set("chat. 1 IN A 10.0.0.2", "chat. 1 IN A 10.0.0.1", "chat. 1 IN A 10.0.0.1", "chat. 1 IN AAAA fd00::1")
	l := run(t, s.of(chat("chat:3001")))
	l.list("10.0.0.1-3001=10.0.0.1:3001", "10.0.0.2-3001=10.0.0.2:3001")
	s.set("chat. 1 IN A 10.0.0.2", "chat. 1 IN A 10.0.0.3")
	l.list("10.0.0.1-3001=10.0.0.1:3001", "10.0.0.2-3001=10.0.0.2:3001", "10.0.0.3-3001=10.0.0.3:3001") // until it was left out three times
	l.list("10.0.0.2-3001=10.0.0.2:3001", "10.0.0.3-3001=10.0.0.3:3001")
	s.set("chat. 1 IN AAAA fd00::1")
	l.list("fd00--1-3001=[fd00::1]:3001")
	s.set("chat. 1 IN CNAME elsewhere.")
	l.list("10.9.9.9-3001=10.9.9.9:3001")
}

// Some servers give parts of what they have, in turns: a node goes when it was left out three times in a row, and not before.
func TestPartsOfTheAddresses(t *testing.T) {
	node := func(name, address string) discover.Found { return discover.Found{Name: name, Address: address} }
	a, b, six := node("a", "10.0.0.1:1"), node("b", "10.0.0.2:1"), node("six", "[fd00::1]:1")
	keep, last := discover.Keeper(), []discover.Found(nil)
	for i, step := range []struct {
		answer []discover.Found
		want   string
	}{
		{[]discover.Found{a, b}, "a b"},
		{[]discover.Found{a}, "a b"},
		{[]discover.Found{b}, "a b"},
		{[]discover.Found{a}, "a b"},
		{[]discover.Found{a}, "a b"},
		{[]discover.Found{b}, "a b"},
		{[]discover.Found{a}, "a b"},
		{[]discover.Found{a}, "a b"},
		{[]discover.Found{a}, "a"},
		{[]discover.Found{b}, "a b"},
		{[]discover.Found{node("c", b.Address)}, "a c"}, // the same process by another name
		{[]discover.Found{six}, "six"},                  // and by the other family
	} {
		var waits bool
		last, waits = keep(last, step.answer)
		slices.SortFunc(last, func(a, b discover.Found) int { return strings.Compare(a.Name, b.Name) })
		var names []string
		for _, f := range last {
			names = append(names, f.Name)
		}
		if got := strings.Join(names, " "); got != step.want || waits != (len(last) > len(step.answer)) {
			t.Errorf("%d: %s, waits %v", i, got, waits)
		}
	}
}

// A service's bare name is looked for as getaddrinfo would.
func TestSearchList(t *testing.T) {
	for _, c := range []struct {
		name, options string
		asked         []string
	}{
		{"chat", "search svc.local other.local", []string{"udp A chat.svc.local.", "udp A chat.other.local."}},
		{"chat.a", "search svc.local other.local\noptions ndots:5", []string{"udp A chat.a.svc.local.", "udp A chat.a.other.local."}},
		{"chat.a", "search svc.local other.local", []string{"udp A chat.a.", "udp A chat.a.svc.local.", "udp A chat.a.other.local."}},
		{"chat.other.local.", "search svc.local", []string{"udp A chat.other.local."}},
	} {
		s := newNameServer(t)
		s.set("chat.other.local. 1 IN A 10.0.0.1", "chat.a.other.local. 1 IN A 10.0.0.1")
		d := s.of(discover.DNS{Address: c.name + ":3001", Interval: time.Hour}, c.options)
		run(t, d).list("10.0.0.1-3001=10.0.0.1:3001")
		if got := s.questions(); !slices.Equal(got, c.asked) {
			t.Errorf("asked for %s: %q, want %q", c.name, got, c.asked)
		}
	}
}

// A wildcard elsewhere in the search list must not stand in for nodes, whether the server cannot say what the right name has or says that
// there are none; nor may AAAA records.
func TestNothingStandsIn(t *testing.T) {
	s := newNameServer(t)
	s.set("chat.svc.local. 1 IN A 10.0.0.1", "chat.svc.local. 1 IN AAAA fd00::1", "chat.wild.local. 1 IN A 192.0.2.1")
	l := run(t, s.of(chat("chat:3001"), "search svc.local wild.local"))
	l.list("10.0.0.1-3001=10.0.0.1:3001")
	s.fails(dns.RcodeServerFailure, "A chat.svc.local.")
	l.problem("SERVFAIL", "A chat.svc.local.", "127.0.0.1")
	s.fails(dns.RcodeSuccess)
	l.over()
	s.fails(dns.RcodeServerFailure, "A chat.svc.local.")
	l.problem("SERVFAIL") // as news, since it was over
	s.fails(dns.RcodeSuccess)
	l.over()
	s.set("chat.wild.local. 1 IN A 192.0.2.1")
	l.list()
	l.problem("no address of chat:3001")
	s.set("chat.svc.local. 1 IN A 10.0.0.2", "chat.wild.local. 1 IN A 192.0.2.1")
	l.list("10.0.0.2-3001=10.0.0.2:3001")
}

// While it is not known which domain is the right one, a failing server ends the search.
func TestSearchEndsWhereAServerFails(t *testing.T) {
	s := newNameServer(t)
	s.set("chat.svc.local. 1 IN A 10.0.0.1", "chat.wild.local. 1 IN A 192.0.2.1")
	s.fails(dns.RcodeServerFailure, "A chat.svc.local.")
	l := run(t, s.of(chat("chat:3001"), "search svc.local wild.local"))
	l.problem("SERVFAIL", "A chat.svc.local.")
	s.fails(dns.RcodeSuccess)
	l.list("10.0.0.1-3001=10.0.0.1:3001")
}

// Answers that say nothing of the name are a server's failures, not empty answers.
func TestAnswersThatAreNone(t *testing.T) {
	for part, mangle := range map[string]func(*dns.Msg){
		"another question": func(m *dns.Msg) { m.Question[0].Name = "other." },
		"for others":       func(m *dns.Msg) { m.RecursionAvailable, m.Answer, m.Rcode = false, nil, 0 },
		"no room":          func(m *dns.Msg) { m.Truncated = true },
		"NOTIMP":           func(m *dns.Msg) { m.Rcode = dns.RcodeNotImplemented },
	} {
		s := newNameServer(t)
		s.set("chat. 1 IN A 10.0.0.1")
		l := run(t, s.of(chat("chat.:3001")))
		l.list("10.0.0.1-3001=10.0.0.1:3001")
		s.change(func(s *nameServer) { s.mangle = mangle })
		l.problem(part)
		s.change(func(s *nameServer) { s.mangle = nil })
		l.over()
	}
}

// A server that is silent holds up neither the end nor anybody who waits for it.
func TestEndWhileAServerIsSilent(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	s := newNameServer(t)
	_, s.port, _ = net.SplitHostPort(silent.LocalAddr().String())
	d := s.of(chat("chat.:3001"), "options timeout:3600")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx, nil, nil) }()
	if _, _, err := silent.ReadFrom(make([]byte, 512)); err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Run does not end")
	}
}

func TestTruncatedAnswerIsAskedForByTCP(t *testing.T) {
	s := newNameServer(t)
	var records, want []string
	for _, n := range strings.Fields("10.0.0.1 10.0.0.2 10.0.0.3") {
		records, want = append(records, "chat. 1 IN A "+n), append(want, n+"-3001="+n+":3001")
	}
	s.set(records...)
	s.change(func(s *nameServer) { s.big = true })
	run(t, s.of(chat("chat:3001"))).list(want...)
	if got := s.questions()[:2]; !slices.Equal(got, []string{"udp A chat.", "tcp A chat."}) {
		t.Errorf("asked %q", got)
	}
}

func TestServerWithoutEDNS(t *testing.T) {
	s := newNameServer(t)
	s.set("chat. 1 IN A 10.0.0.1")
	s.fails(dns.RcodeFormatError, "A chat.")
	s.change(func(s *nameServer) { s.script = []func(*nameServer){nothing, func(s *nameServer) { clear(s.fail) }} })
	run(t, s.of(chat("chat:3001"))).list("10.0.0.1-3001=10.0.0.1:3001")
}

// What a DNS server says while it starts or has lost its source must not drain a cluster.
func TestEmptyAnswerIsBelievedTheThirdTime(t *testing.T) {
	good := func(address string) func(*nameServer) {
		return func(s *nameServer) { clear(s.fail); s.put("chat. 1 IN A " + address) }
	}
	gone := func(s *nameServer) { clear(s.fail); s.put() }
	down := func(s *nameServer) { s.fail["A chat."] = dns.RcodeServerFailure }
	s := newNameServer(t)
	s.change(func(s *nameServer) {
		s.script = []func(*nameServer){
			good("10.0.0.1"), gone, gone, good("10.0.0.1"), gone, gone, down, gone, gone, good("10.0.0.1"), gone, gone, gone, good("10.0.0.2"),
		}
	})
	l := run(t, s.of(chat("chat.:3001")))
	for _, want := range []string{"10.0.0.1-3001=10.0.0.1:3001", "", "10.0.0.2-3001=10.0.0.2:3001"} {
		got := l.next()
		for _, isList := got.(string); !isList; _, isList = got.(string) {
			got = l.next()
		}
		if got != any(want) {
			t.Fatalf("told %q, want %q", got, want)
		}
	}
}

func TestNameThatDoesNotExist(t *testing.T) {
	l := run(t, newNameServer(t).of(chat("chat.:3001")))
	l.problem("no address of chat.:3001")
	l.list()
}

// The server's answers say when it is asked again: after 1 s to 15 s, or 2 s if there was no node in them. The clock is the test's.
func TestAskedAgainByTTL(t *testing.T) {
	for _, c := range []struct {
		name, zone string
		interval   time.Duration
		want       time.Duration
	}{
		{"TTL", "chat. 10 IN A 10.0.0.1", 0, 10 * time.Second},
		{"no TTL", "chat. 0 IN A 10.0.0.1", 0, time.Second},
		{"a day", "chat. 86400 IN A 10.0.0.1", 0, 12500 * time.Millisecond},
		{"no node yet", "other. 1 IN A 10.0.0.1", 0, 2 * time.Second},
		{"an alias", "chat. 7 IN CNAME chat-1.", 0, 7 * time.Second},
		{"service", "chat. 12 IN SRV 0 1 3001 a.\na. 8 IN A 10.0.0.1\nchat. 12 IN SRV 0 1 3001 b.\nb. 14 IN A 10.0.0.2", 0, 8 * time.Second},
		{"interval", "chat. 86400 IN A 10.0.0.1", time.Minute, time.Minute},
		{"long interval and no node yet", "other. 1 IN A 10.0.0.1", time.Hour, 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newNameServer(t)
			s.set(strings.Split(c.zone, "\n")...)
			d := s.of(discover.DNS{Address: "chat.:3001", Interval: c.interval})
			script := []func(*nameServer){nothing}
			if c.name == "service" {
				d.Address, d.Service = "", "chat."
				script = append(script, nothing, nothing)
			}
			script = append(script, func(s *nameServer) {
				s.put("chat. 1 IN A 10.0.0.9", "chat. 1 IN SRV 0 1 3009 c.", "c. 1 IN A 10.0.0.9")
			})
			s.change(func(s *nameServer) { s.script = script })
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var told []time.Time
				tell := func() {
					if told = append(told, time.Now()); len(told) == 2 {
						cancel()
					}
				}
				if err := d.Run(ctx, func([]discover.Found) { tell() }, func(error) { tell() }); err != nil {
					t.Fatal(err)
				}
				if passed := told[1].Sub(told[0]); passed < c.want || passed > c.want*12/10+time.Millisecond {
					t.Errorf("asked again after %v, want %v", passed, c.want)
				}
			})
		})
	}
}

// A server that fails for long is asked again within 15 s, and within 2 s where there is no list yet.
func TestPausesAfterFailures(t *testing.T) {
	for known, most := range map[bool]time.Duration{false: 2 * time.Second, true: 15 * time.Second} {
		for i, pause := range discover.Pauses(known, 1000) {
			if pause > most || i > 10 && pause < most/4 {
				t.Errorf("asked again after %v, want %v at most", pause, most)
			}
		}
	}
}

// Without a list there is nothing to lose, and an operator wants to know at once.
func TestErrorAtTheStart(t *testing.T) {
	s := newNameServer(t)
	s.set("chat. 1 IN A 10.0.0.1")
	s.fails(dns.RcodeRefused, "A chat.")
	l := run(t, s.of(chat("chat.:3001")))
	l.problem("REFUSED")
	s.fails(dns.RcodeSuccess)
	l.list("10.0.0.1-3001=10.0.0.1:3001")
	l.over()
}

func TestLaterServersAreAskedToo(t *testing.T) {
	s := newNameServer(t)
	s.set("chat. 1 IN A 10.0.0.1")
	d := s.of(chat("chat:3001"))
	d.ResolvConf = s.of(chat("chat:3001"), "nameserver 127.0.0.1").ResolvConf
	s.fails(dns.RcodeServerFailure, "A chat.")
	s.change(func(s *nameServer) { s.script = []func(*nameServer){nothing, func(s *nameServer) { clear(s.fail) }} })
	run(t, d).list("10.0.0.1-3001=10.0.0.1:3001")
}

func TestServices(t *testing.T) {
	s := newNameServer(t)
	s.set(
		"_sio._tcp.chat.svc.local. 1 IN SRV 9 5 3004 spare.svc.local.",
		"_sio._tcp.chat.svc.local. 1 IN SRV 0 0 3001 Chat-0.svc.local.",
		"_sio._tcp.chat.svc.local. 1 IN SRV 0 5 3002 chat-1.svc.local.",
		"_sio._tcp.chat.svc.local. 1 IN SRV 0 5 3003 both.svc.local.",
		"_sio._tcp.chat.svc.local. 1 IN SRV 0 5 3003 both.svc.local.",
		"_sio._tcp.chat.svc.local. 1 IN SRV 9 5 3004 spare.svc.local.",
		"_sio._tcp.chat.svc.local. 1 IN SRV 0 5 3005 nowhere.svc.local.",
		"Chat-0.svc.local. 1 IN A 10.0.0.1", "chat-1.svc.local. 1 IN AAAA fd00::1",
		"both.svc.local. 1 IN A 10.0.0.2", "both.svc.local. 1 IN A 10.0.0.3", "spare.svc.local. 1 IN A 10.0.0.4",
	)
	l := run(t, s.of(discover.DNS{Service: "_sio._tcp.chat", Interval: soon}, "search svc.local"))
	l.list("chat-0.svc.local-3001=10.0.0.1:3001", "chat-1.svc.local-3002=[fd00::1]:3002*5",
		"10.0.0.2-3003=10.0.0.2:3003*5", "10.0.0.3-3003=10.0.0.3:3003*5")

	// Greater weights are scaled, and the name outlives the address.
	s.set(
		"_sio._tcp.chat.svc.local. 1 IN SRV 0 40000 3001 chat-0.svc.local.", "_sio._tcp.chat.svc.local. 1 IN SRV 0 10000 3002 chat-1.svc.local.",
		"_sio._tcp.chat.svc.local. 1 IN SRV 0 1 3003 chat-2.svc.local.",
		"chat-0.svc.local. 1 IN A 10.0.1.1", "chat-1.svc.local. 1 IN A 10.0.1.2", "chat-2.svc.local. 1 IN A 10.0.1.3",
	)
	l.list("chat-0.svc.local-3001=10.0.1.1:3001*1000", "chat-1.svc.local-3002=10.0.1.2:3002*250", "chat-2.svc.local-3003=10.0.1.3:3003",
		"10.0.0.2-3003=10.0.0.2:3003*5", "10.0.0.3-3003=10.0.0.3:3003*5") // until they were left out three times
	l.list("chat-0.svc.local-3001=10.0.1.1:3001*1000", "chat-1.svc.local-3002=10.0.1.2:3002*250", "chat-2.svc.local-3003=10.0.1.3:3003")

	// A service that is said not to exist: RFC 2782.
	s.set("_sio._tcp.chat.svc.local. 1 IN SRV 0 0 0 .")
	l.list()
	if slices.Contains(s.questions(), "udp A .") {
		t.Error("the root was asked for an address")
	}
}

// One target for which DNS fails keeps the addresses it had, and the others are not held up by it.
func TestTargetThatFails(t *testing.T) {
	s := newNameServer(t)
	records := []string{
		"_sio._tcp.chat. 1 IN SRV 0 1 3001 a.", "_sio._tcp.chat. 1 IN SRV 0 1 3001 b.",
		"a. 1 IN A 10.0.0.1", "b. 1 IN A 10.0.0.2",
	}
	s.set(records...)
	l := run(t, s.of(discover.DNS{Service: "_sio._tcp.chat", Interval: soon}))
	l.list("a-3001=10.0.0.1:3001", "b-3001=10.0.0.2:3001")
	s.fails(dns.RcodeServerFailure, "A a.")
	l.problem("A a.")
	s.set(append(records, "_sio._tcp.chat. 1 IN SRV 0 1 3001 c.", "c. 1 IN A 10.0.0.3")...)
	l.list("a-3001=10.0.0.1:3001", "b-3001=10.0.0.2:3001", "c-3001=10.0.0.3:3001")
}

func TestTargetsFromTheAdditionalSection(t *testing.T) {
	s := newNameServer(t)
	s.set("_sio._tcp.chat. 1 IN SRV 0 1 3001 a.")
	s.change(func(s *nameServer) {
		s.extra = []dns.RR{record(t, "A. 1 IN A 10.0.0.1"), record(t, "other. 1 IN A 10.0.0.2")}
	})
	run(t, s.of(discover.DNS{Service: "_sio._tcp.chat", Interval: time.Hour})).list("a-3001=10.0.0.1:3001")
	if got := s.questions(); len(got) != 1 {
		t.Errorf("asked %q, want one question", got)
	}
}

// What /etc/hosts knows is not asked for, and neither is an address.
func TestNamesWithoutDNS(t *testing.T) {
	s := newNameServer(t)
	s.set("localhost. 1 IN A 192.0.2.1")
	run(t, s.of(chat("localhost:3001"))).list("127.0.0.1-3001=127.0.0.1:3001")
	run(t, s.of(chat("[fd00::1]:3001"))).list("fd00--1-3001=[fd00::1]:3001")
	if got := s.questions(); len(got) != 0 {
		t.Errorf("asked %q", got)
	}
}

func TestSettingsThatCannotWork(t *testing.T) {
	refused(t, &discover.DNS{Address: "chat"}, "no host:port")
	refused(t, &discover.DNS{Address: ":3001"}, "no host:port")
	refused(t, &discover.DNS{Address: "chat:0"}, "no host:port")
	refused(t, &discover.DNS{Address: "chat:70000"}, "no host:port")
	refused(t, &discover.DNS{Service: "a..b"}, "no name of a service")
	refused(t, &discover.DNS{Address: "chat:3001", Service: "_sio._tcp.chat"}, "no name of a service")
}
