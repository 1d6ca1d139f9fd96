package discover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// hostsTTL is how long an answer of /etc/hosts holds; Go reads the file again after as long.
const hostsTTL = 5 * time.Second

// resolver asks the servers of a resolv.conf(5). The standard library's does too, but keeps the TTLs to itself, and says neither
// whether a name has no records nor whether servers agree.
type resolver struct {
	conf  *dns.ClientConfig
	hosts net.Resolver      // knows /etc/hosts alone
	full  map[string]string // by name, which name of its search had records
}

func newResolver(file string, full map[string]string) *resolver {
	conf, err := dns.ClientConfigFromFile(file)
	if err != nil || len(conf.Servers) == 0 { // as the standard library has it
		conf = &dns.ClientConfig{Servers: []string{"127.0.0.1", "::1"}, Port: "53", Ndots: 1, Timeout: 5, Attempts: 2}
	}
	r := &resolver{conf: conf, full: full}
	r.hosts.PreferGo = true
	r.hosts.Dial = func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("only /etc/hosts is asked")
	}
	return r
}

// answer is what a server says of a name: no records where it has none of that type.
type answer struct {
	records []dns.RR
	extra   []dns.RR
	ttl     time.Duration
	unknown bool // NXDOMAIN: records of other types are not there either (RFC 8020)
}

// addresses finds the addresses of a host in /etc/hosts, or else its A records, or else its AAAA records.
func (r *resolver) addresses(ctx context.Context, host string) (target, error) {
	for _, family := range []string{"ip4", "ip6"} {
		if known, err := r.hosts.LookupNetIP(ctx, family, host); err == nil {
			return target{known, hostsTTL}, nil
		}
	}
	a, err := r.find(ctx, host, dns.TypeA, dns.TypeAAAA)
	return target{ips(a.records), a.ttl}, err
}

// target is what an SRV record points at, or a host by itself.
type target struct {
	addrs []netip.Addr // of one family
	ttl   time.Duration
}

// find asks for records of the types, one after the other, until there are some: of the name, and of the name in each domain of
// the search list, in the order of resolv.conf(5). What has had records once is not searched for again, and a server that fails ends
// the search: what another domain has under that name, by a wildcard for example, must not stand in for it. Nor may AAAA records for A
// records that a server fails to give.
func (r *resolver) find(ctx context.Context, name string, types ...uint16) (none answer, err error) {
	names := r.conf.NameList(name)
	if full := r.full[name]; slices.Contains(names, full) {
		names = []string{full}
	}
	for _, full := range names {
		for _, t := range types {
			a, err := r.ask(ctx, full, t)
			if len(a.records) > 0 && !dns.IsFqdn(name) {
				r.full[name] = full
			}
			if err != nil || len(a.records) > 0 {
				return a, err
			}
			none.ttl = max(none.ttl, a.ttl)
			if a.unknown {
				break
			}
		}
	}
	return none, nil
}

// ask asks the servers in their order until one answers.
func (r *resolver) ask(ctx context.Context, name string, t uint16) (answer, error) {
	query := new(dns.Msg).SetQuestion(name, t)
	query.SetEdns0(1232, false) // what no network takes apart
	var err error
	for range r.conf.Attempts {
		for _, server := range r.conf.Servers {
			var reply *dns.Msg
			if reply, err = r.exchange(ctx, query, net.JoinHostPort(server, r.conf.Port)); err == nil {
				return read(reply, t), nil
			}
			err = fmt.Errorf("DNS server %s, asked for %s %s: %w", server, dns.TypeToString[t], name, plain(err))
			if ctx.Err() != nil {
				return answer{}, err
			}
		}
	}
	return answer{}, err
}

// exchange asks one server by UDP, and by TCP where UDP has no room for the answer (RFC 1035, 4.2; RFC 7766).
func (r *resolver) exchange(ctx context.Context, query *dns.Msg, server string) (*dns.Msg, error) {
	reply, err := r.once(ctx, "udp", query, server)
	if err == nil && reply.Rcode == dns.RcodeFormatError && query.IsEdns0() != nil { // a server older than EDNS (RFC 6891, 7)
		query = new(dns.Msg).SetQuestion(query.Question[0].Name, query.Question[0].Qtype)
		reply, err = r.once(ctx, "udp", query, server)
	}
	if err == nil && reply.Truncated {
		reply, err = r.once(ctx, "tcp", query, server)
	}
	if err != nil {
		return nil, err
	}
	switch asked := query.Question[0]; {
	case len(reply.Question) != 1, !strings.EqualFold(reply.Question[0].Name, asked.Name), reply.Question[0].Qtype != asked.Qtype:
		return nil, errors.New("it answers another question")
	case reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError:
		return nil, errors.New(dns.RcodeToString[reply.Rcode])
	case reply.Rcode == dns.RcodeSuccess && len(reply.Answer) == 0 && !reply.Authoritative && !reply.RecursionAvailable:
		return nil, errors.New("it does not look names up for others") // such an empty answer says nothing of the name
	case reply.Truncated:
		return nil, errors.New("it has no room for the answer by TCP either")
	}
	return reply, nil
}

func (r *resolver) once(ctx context.Context, network string, query *dns.Msg, server string) (*dns.Msg, error) {
	c := dns.Client{Net: network, Timeout: time.Duration(r.conf.Timeout) * time.Second}
	conn, err := c.DialContext(ctx, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	reply, _, err := c.ExchangeWithConnContext(ctx, query, conn)
	return reply, err
}

// read takes the records of the type, with the shortest TTL of whatever led to them; where there are none, the time for which that
// may be believed (RFC 2308, 5).
func read(reply *dns.Msg, t uint16) answer {
	a := answer{unknown: reply.Rcode == dns.RcodeNameError, extra: reply.Extra}
	for _, rr := range reply.Answer {
		if rr.Header().Rrtype == t {
			a.records = append(a.records, rr)
		}
	}
	if len(a.records) > 0 {
		a.ttl = shortest(reply.Answer)
		return a
	}
	for _, rr := range reply.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			a.ttl = time.Duration(min(soa.Hdr.Ttl, soa.Minttl)) * time.Second
		}
	}
	return a
}

// shortest is the shortest TTL of records, of which there is one at least.
func shortest(records []dns.RR) time.Duration {
	ttl := records[0].Header().Ttl
	for _, rr := range records {
		ttl = min(ttl, rr.Header().Ttl)
	}
	return time.Duration(ttl) * time.Second
}

// ips are the addresses in A and AAAA records.
func ips(records []dns.RR) (list []netip.Addr) {
	for _, rr := range records {
		var ip net.IP
		switch rr := rr.(type) {
		case *dns.A:
			ip = rr.A
		case *dns.AAAA:
			ip = rr.AAAA
		}
		if addr, ok := netip.AddrFromSlice(ip); ok {
			list = append(list, addr)
		}
	}
	return list
}
