package config_test

import (
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/config"
)

// What nobody would notice is refused, as somebody has meant something by it.
func TestSettingsWithoutEffect(t *testing.T) {
	const (
		acme  = "tls: {acme: {domains: [a.example.com], storage: ., challenges: "
		none  = `, since no listener speaks TLS; write listen: [{address: ":443", tls: true}], or `
		nodes = "clusters: [{name: a, node_tls: {insecure: true}, "
	)
	for settings, want := range map[string]string{
		"tls: {http2: true}\n" + good: "1: tls.http2: it is offered to nobody" + none + "take it out",
		"tls: {hsts: 24h}\n" + good:   "1: tls.hsts: nobody is told of it" + none + "trusted_proxies, if one of these does",
		"tls: {hsts: 24h, http2: false}\ntrusted_proxies: 10.0.0.0/8\n" + good:      "", // of which one may speak it
		"tls: {hsts: 24h}\nlisten: unix:/run/sidway.sock\n" + good:                  "", // likewise
		acme + "[http-01]}}\nlisten: [':443;tls', ':80']\n" + good:                  `1: tls.acme.challenges: http-01 is answered by a listener that redirects, and there is none; write listen: [{address: ":80", redirect: https}] too, or tls-alpn-01 here`,
		acme + "[http-01]}}\nlisten: [':443;tls', ':8080;redirect=https']\n" + good: "", // port 80 may be a balancer's
		acme + "[tls-alpn-01]}}\nlisten: ':443;tls'\n" + good:                       "",
		nodes + "nodes: ['http://h:1']}]\n":                                         "serves; 1: clusters[0].node_tls: no node is spoken to by TLS; write https:// in the url of those that are to be, or discover.tls: true, or take it out",
		nodes + "nodes: ['http://h:1', 'https://h:2']}]\n":                          "",
		nodes + "discover: {dns: 'chat:3000'}}]\n":                                  "serves; 1: clusters[0].node_tls: no node is spoken to by TLS; write https:// in the url of those that are to be, or discover.tls: true, or take it out",
		nodes + "discover: {dns: 'chat:3000', tls: true}}]\n":                       "",
		"listen: 8080\ntls: {http2: true, hsts: 24h}\n" + good:                      `1: listen: "8080" is a port without a colon; write :8080`, // it may be meant to speak TLS
	} {
		file := write(t, settings)
		_, err := config.CheckWith(file, nil, nil)
		got := ""
		if err != nil {
			got = strings.ReplaceAll(strings.ReplaceAll(err.Error(), file+":", ""), "\n", " ")
		}
		want, serves := strings.CutPrefix(want, "serves; ")
		if got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", settings, got, want)
		}
		if _, err := config.Load(file, nil); (err == nil) != (serves || want == "") {
			t.Errorf("%s: loaded: %v", settings, err)
		}
	}
}
