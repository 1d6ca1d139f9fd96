package discover_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/sidway/sidway/gateway/discover"
)

// nothing is a step of a script.
func nothing(*nameServer) {}

// nameServer answers by UDP and TCP from what it was given; what it was not given does not exist.
type nameServer struct {
	t    *testing.T
	port string

	mu     sync.Mutex
	zone   map[string][]dns.RR // by type and name
	fail   map[string]int      // response codes, likewise
	extra  []dns.RR
	asked  []string
	at     []time.Time
	script []func(*nameServer) // done before one question each
	big    bool                // answers have no room in UDP
	mangle func(*dns.Msg)      // does something to each answer
}

func newNameServer(t *testing.T) *nameServer {
	t.Helper()
	s := &nameServer{t: t, zone: map[string][]dns.RR{}, fail: map[string]int{}}
	udp, tcp := listenBoth(t)
	_, s.port, _ = net.SplitHostPort(tcp.Addr().String())
	for network, server := range map[string]*dns.Server{"udp": {PacketConn: udp}, "tcp": {Listener: tcp}} {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		server.Handler = dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) { _, _ = w.Write(s.answer(network, q)) })
		ended := make(chan error, 1)
		go func() { ended <- server.ActivateAndServe() }()
		<-started
		t.Cleanup(func() {
			_ = server.Shutdown()
			<-ended
		})
	}
	return s
}

func listenBoth(t *testing.T) (net.PacketConn, net.Listener) {
	for range 50 {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		udp, err := net.ListenPacket("udp", tcp.Addr().String())
		if err == nil {
			return udp, tcp
		}
		tcp.Close()
	}
	t.Fatal("no port is free for both UDP and TCP")
	return nil, nil
}

func (s *nameServer) answer(network string, q *dns.Msg) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.script) > 0 {
		s.script[0](s)
		s.script = s.script[1:]
	}
	name, kind := q.Question[0].Name, dns.TypeToString[q.Question[0].Qtype]
	key := kind + " " + name
	s.asked, s.at = append(s.asked, network+" "+key), append(s.at, time.Now())
	m := new(dns.Msg).SetReply(q)
	m.RecursionAvailable = true
	m.Rcode, m.Answer, m.Extra = s.fail[key], s.zone[key], s.extra
	if len(m.Answer) == 0 && m.Rcode == 0 {
		m.Ns = []dns.RR{record(s.t, ". 3600 IN SOA ns. mail. 1 1 1 1 30")}
		if !s.has(name) {
			m.Rcode = dns.RcodeNameError
		}
	}
	if s.big && network == "udp" {
		m.Truncated, m.Answer = true, m.Answer[:min(1, len(m.Answer))]
	}
	if s.mangle != nil {
		s.mangle(m)
	}
	b, err := m.Pack()
	if err != nil {
		s.t.Error(err)
	}
	return b
}

func (s *nameServer) has(name string) bool {
	for key, records := range s.zone {
		if strings.HasSuffix(key, " "+name) && len(records) > 0 {
			return true
		}
	}
	return false
}

func record(t *testing.T, text string) dns.RR {
	rr, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

// change changes the server between two questions.
func (s *nameServer) change(f func(*nameServer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

// set replaces all records, written as in a zone file.
func (s *nameServer) set(records ...string) {
	s.change(func(s *nameServer) { s.put(records...) })
}

func (s *nameServer) put(records ...string) {
	clear(s.zone)
	for _, text := range records {
		rr := record(s.t, text)
		h := rr.Header()
		key := dns.TypeToString[h.Rrtype] + " " + h.Name
		if alias, ok := rr.(*dns.CNAME); ok { // as a server does that looks further
			key = "A " + h.Name
			s.zone[key] = append(s.zone[key], rr, record(s.t, alias.Target+" 60 IN A 10.9.9.9"))
			continue
		}
		s.zone[key] = append(s.zone[key], rr)
	}
}

func (s *nameServer) fails(rcode int, keys ...string) {
	s.change(func(s *nameServer) {
		clear(s.fail)
		for _, k := range keys {
			s.fail[k] = rcode
		}
	})
}

func (s *nameServer) questions() (asked []string) {
	s.change(func(s *nameServer) { asked = slices.Clone(s.asked) })
	return asked
}

// of gives d this server, and an interval for a test's patience.
func (s *nameServer) of(d discover.DNS, more ...string) *discover.DNS {
	file := filepath.Join(s.t.TempDir(), "resolv.conf")
	text := fmt.Sprintf("nameserver 127.0.0.1\noptions timeout:5 attempts:1\n%s\n", strings.Join(more, "\n"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	d.ResolvConf = file
	return (&d).AskPort(s.port)
}
