package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity/affinitytest"
)

// The balancers of connections of docs/behind.md tell by the PROXY protocol who the client is, and nodes see that address in polls and
// upgrades, and no other one.
func TestBalancersOfConnectionsOfTheGuide(t *testing.T) {
	const balancer = "127.0.0.11" // not the clients' address
	for _, front := range []struct {
		language, header, from string
		run                    func(t *testing.T, address, config string)
	}{
		{"haproxy", "send-proxy-v2", "send-proxy-v2 source " + balancer, startHAProxy},
		{"nginx", "proxy_protocol on;", "proxy_protocol on; proxy_bind " + balancer + ";", runNginx},
	} {
		t.Run(front.language, func(t *testing.T) {
			redis, nodes := affinitytest.StartRedis(t), startNodes(t, pings{interval: 2 * time.Second, timeout: 10 * time.Second}, node48, node48)
			g := readGuide(t, redis.URL(), nodes)
			const heading = "## Balancers of connections"
			listen := g.snippetOf(t, heading, "yaml")
			_, listen, _ = strings.Cut(listen, "listen:")
			listen, _, _ = strings.Cut(listen, "\n")
			for _, host := range []string{".21:", ".22:"} {
				text := strings.ReplaceAll(g.snippet(t, "yaml"), ".21:", host)
				plain := listens.FindStringSubmatch(text)
				text = strings.Replace(text, plain[0], "listen:"+strings.ReplaceAll(listen, ".21:", host), 1)
				text = strings.Replace(text, "trusted_proxies: [127.0.0.1]", "trusted_proxies: ["+balancer+"]", 1)
				r := &replica{binary: binaryOf(t, sidwayBinary), listen: plain[1], admin: listens.FindAllStringSubmatch(text, -1)[0][1], config: writeFile(t, "sidway.yaml", text)}
				r.run(t)
			}
			config := g.snippetOf(t, heading, front.language)
			if !strings.Contains(config, front.header) {
				t.Fatalf("no %q in\n%s", front.header, config)
			}
			front.run(t, g.address, strings.Replace(config, front.header, front.from, 1))
			driver := startClients(t, plan{URL: "http://" + g.address, Library: 4, Window: 2, Modes: map[string]int{"polling": 6, "upgrade": 6, "websocket": 4}})
			driver.exchange(t, 20).flaws(statsOf(t, nodes)).check(t)
			seen := map[string]int{}
			for _, s := range statsOf(t, nodes) {
				for client, n := range s.Clients {
					seen[client] += n
				}
			}
			if len(seen) != 2 || seen["request 127.0.0.1"] < 6 || seen["upgrade 127.0.0.1"] < 10 {
				t.Errorf("nodes see %v", seen)
			}
			driver.leave(t)
		})
	}
}
