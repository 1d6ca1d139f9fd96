package control_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/gateway/config"
)

// Probes of nodes that demand the PROXY protocol begin with a header that names nobody.
func TestProbesWithProxyHeader(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	headers := make(chan proxyproto.Header, 100)
	server.Listener = &proxyproto.Listener{
		Listener:   server.Listener,
		ConnPolicy: func(proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) { return proxyproto.REQUIRE, nil },
		ValidateHeader: func(h *proxyproto.Header) error {
			select {
			case headers <- *h:
			default:
			}
			return nil
		},
	}
	server.Start()
	defer server.Close()
	a := start(t, nil, "n1")
	cfg := chat("n1")
	cfg.Nodes[0].URL = server.URL
	healthy := func() bool { return a.Cluster.Statuses()[0].Healthy }
	for _, version := range []string{"v1", "v2"} {
		cfg.ProxyProtocol = ""
		cfg.Health = &config.Health{Path: "/healthz", Status: 200, Interval: 20 * time.Millisecond, Timeout: patience, Rise: 1, Fall: 1}
		a.Configure(cfg)
		affinitytest.Eventually(t, "probes without a header fail", func() bool { return !healthy() })
		cfg.ProxyProtocol = version
		a.Configure(cfg)
		affinitytest.Eventually(t, "probes with one are good", healthy)
		h := <-headers
		if int(h.Version) != int(version[1]-'0') || !h.TransportProtocol.IsUnspec() || h.Version == 2 && !h.Command.IsLocal() {
			t.Errorf("%s: the header is %+v", version, h)
		}
		for len(headers) > 0 {
			<-headers
		}
	}
}
