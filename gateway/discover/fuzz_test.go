package discover_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/sidway/sidway/gateway/discover"
	"github.com/sidway/sidway/gateway/nodename"
)

// Whatever slices hold, each node is in the list once, and so is each address.
func FuzzMerge(f *testing.F) {
	a, b := pods("IPv4", "chat-1=10.0.0.1 r s T", "chat-2=10.0.0.2 R s t"), pods("IPv6", "chat-1=fd00::1", "chat-3=10.0.0.2")
	f.Add(`{"a":{`+a+`},"b":{`+b+`}}`, "http")
	f.Add(`{"a":{`+b+`},"b":{"endpoints":[{"addresses":["10.0.0.1"],"targetRef":null}],"ports":[{}]}}`, "80")
	f.Add(`{"a":null,"b":{"ports":null,"endpoints":[{}]}}`, "")
	f.Fuzz(func(t *testing.T, all, port string) {
		list, _ := discover.Merge([]byte(all), port)
		seen := map[string]bool{}
		for _, n := range list {
			if seen["name "+n.Name] || seen["address "+n.Address] || !nodename.Valid(n.Name) || n.Weight != 1 {
				t.Fatalf("%+v in %+v", n, list)
			}
			seen["name "+n.Name], seen["address "+n.Address] = true, true
		}
	})
}

// FuzzService holds the same for a DNS server's message about a service, in which whatever is named has an address and a weight.
func FuzzService(f *testing.F) {
	for _, records := range [][]string{
		{"_sio._tcp.chat. 5 IN SRV 1 2 3001 a.chat.", "_sio._tcp.chat. 7 IN SRV 1 65535 3001 b.chat.", "_sio._tcp.chat. 7 IN SRV 2 1 3001 c.chat."},
		{"_sio._tcp.chat. 5 IN SRV 1 0 0 a.chat.", "_sio._tcp.chat. 5 IN SRV 1 0 1 .", "_sio._tcp.chat. 5 IN SRV 1 0 1 a\\.b\\ c."},
		{"_sio._tcp.chat. 5 IN CNAME x."},
		nil,
	} {
		m := new(dns.Msg).SetQuestion("_sio._tcp.chat.", dns.TypeSRV)
		for _, text := range records {
			rr, err := dns.NewRR(text)
			if err != nil {
				f.Fatal(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		for _, text := range []string{"a.chat. 1 IN A 10.0.0.1", "A.chat. 9 IN A 10.0.0.2", "b.chat. 9 IN A 10.0.0.3", "a\\.b\\ c. 9 IN A 10.0.0.4", ". 9 IN OPT"} {
			if rr, err := dns.NewRR(text); err == nil {
				m.Extra = append(m.Extra, rr)
			}
		}
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		list, ttl, _ := discover.Service(message)
		seen := map[string]bool{}
		for _, n := range list {
			at, err := netip.ParseAddrPort(n.Address)
			if err != nil || at.Port() == 0 || seen[n.Name] || !nodename.Valid(n.Name) || n.Weight < 1 || n.Weight > 1000 {
				t.Fatalf("%+v in %+v: %v", n, list, err)
			}
			seen[n.Name] = true
		}
		if ttl < 0 || ttl > 1<<32*time.Second {
			t.Fatalf("it holds for %v", ttl)
		}
	})
}

// FuzzWatch holds that whatever the API answers, lists are as FuzzMerge has them, and it is not asked again at once.
func FuzzWatch(f *testing.F) {
	item := func(name, slice string) string {
		return `{"metadata":{"name":"` + name + `","resourceVersion":"8"},` + slice[1:]
	}
	a, b := item("a", pods("IPv4", "chat-1=10.0.0.1 r s T", "chat-2=10.0.0.2 R s t")), item("b", pods("IPv6", "chat-1=fd00::1", "chat-3=10.0.0.2"))
	f.Add(`{"metadata":{"resourceVersion":"7"},"items":[`+a+`,`+b+`]}`, `{"type":"DELETED","object":`+a+`}{"type":"MODIFIED","object":`+b+`}`)
	f.Add(`{"metadata":{"resourceVersion":"7"}}`, `{"type":"ADDED","object":`+a+`}{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}}`)
	f.Add(`{"metadata":{"resourceVersion":"7"},"items":null}`, `{"type":"ERROR","object":{"code":410,"message":"gone"}}`)
	f.Add(`{}`, `{"type":"ADDED","object":null}`)
	f.Add(`{"metadata":{"resourceVersion":"7","continue":"x"}}`, `{`)
	f.Fuzz(func(t *testing.T, list, watch string) {
		for _, s := range discover.Watch(list, watch) {
			if s.Pause <= 0 && len(s.Lists) == 0 {
				t.Errorf("it is asked again at once: %v", s.Err)
			}
			for _, l := range s.Lists {
				seen := map[string]bool{}
				for _, n := range l {
					if seen["name "+n.Name] || seen["address "+n.Address] || !nodename.Valid(n.Name) {
						t.Errorf("%+v in %+v", n, l)
					}
					seen["name "+n.Name], seen["address "+n.Address] = true, true
				}
			}
		}
	})
}
