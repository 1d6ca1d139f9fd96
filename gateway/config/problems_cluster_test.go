package config_test

// clusterProblems goes on where problems ends, with the settings of one cluster.
var clusterProblems = []problem{
	{"rebalance without moves", cluster("sessions: {rebalance: 5/s}"), []string{"2: clusters[0].sessions.rebalance: sessions are not moved here; write move: true too, or take it out"}},
	{"rebalance by hash", cluster("balance: hash\n    sessions: {move: true, rebalance: 5/s, redis: 'redis://a'}"), []string{
		"3: clusters[0].sessions.rebalance: with balance: hash each session has its own node, however many others have; take one of the two out",
	}},
	{"rebalance beside a release", cluster("release: {version: 2, share: 10%}\n    sessions: {move: true, rebalance: 5/s, redis: 'redis://a'}\n    discover: {dns: 'a:1'}"), []string{
		"3: clusters[0].sessions.rebalance: it knows nothing of the release's share and would even it out; take one of the two out",
	}},
	{"hash_by, not hash", cluster("hash_by: client"), []string{"2: clusters[0].hash_by: it is for balance: hash, and balance is least_sessions; write balance: hash, or take it out"}},
	{"hash_by, near", cluster("hash_by: cooky:user"), []string{`2: clusters[0].hash_by: "cooky:user" is unknown; did you mean cookie?`}},
	{"hash_by, far", cluster("hash_by: sid"), []string{`2: clusters[0].hash_by: "sid" is unknown; write client, query:NAME, header:NAME or cookie:NAME`}},
	{"hash_by, no name", cluster("hash_by: 'query:'"), []string{`2: clusters[0].hash_by: "query:" lacks the name; write query:NAME`}},
	{"hash_by, query", cluster("hash_by: query:a&b"), []string{`2: clusters[0].hash_by: "query:a&b" has no name of a query parameter; write it as it stands in the URL, without & = # % + and blanks`}},
	{"hash_by, header", cluster("hash_by: 'header:X User'"), []string{`2: clusters[0].hash_by: "header:X User" has no name of a header; write letters, digits and -_ behind the colon`}},
	{"hash_by, client's name", cluster("hash_by: client:ip"), []string{`2: clusters[0].hash_by: "client:ip" is unknown; client is an address and takes no name; write client`}},

	{"health, no mapping", cluster("health: on"), []string{"2: clusters[0].health: this takes keys below it: path, status, interval, timeout, rise, fall, handshake"}},
	{"health, unknown keys", cluster("health: {pat: /h, inteval: 1s, service: a}"), []string{
		"2: clusters[0].health.pat: unknown key; did you mean path?",
		"2: clusters[0].health.inteval: unknown key; did you mean interval?",
		"2: clusters[0].health.service: unknown key; the keys here are path, status, interval, timeout, rise, fall, handshake",
	}},
	{"health, elsewhere", cluster("rise: 3"), []string{"2: clusters[0].rise: unknown key; it belongs elsewhere, as clusters[0].health.rise"}},
	{"kubernetes, elsewhere", cluster("namespace: x"), []string{"2: clusters[0].namespace: unknown key; it belongs elsewhere, as clusters[0].discover.kubernetes.namespace"}},
	{"health, values", cluster("health: {path: healthz, status: 99, interval: 10ms, timeout: 2, rise: 0, fall: x, handshake: yes}"), []string{
		`2: clusters[0].health.path: "healthz" does not begin with /; write "/healthz"`,
		`2: clusters[0].health.status: "99" is not a whole number from 200 to 599`,
		"2: clusters[0].health.interval: 10ms is out of range; write a duration from 100ms to 1h",
		`2: clusters[0].health.timeout: "2" has no unit; write 2s or 2ms`,
		`2: clusters[0].health.rise: "0" is not a whole number from 1 to 100`,
		`2: clusters[0].health.fall: "x" is not a whole number from 1 to 100`,
		`2: clusters[0].health.handshake: "yes" is neither true nor false`,
	}},
	{"health, a URL", cluster("health: {path: 'http://h:1/h'}"), []string{`2: clusters[0].health.path: "http://h:1/h" is a URL; write only the path, as /healthz: each node is asked at its own address`}},
	{"health, a fragment", cluster("health: {path: '/a#b'}"), []string{`2: clusters[0].health.path: "/a#b": "#" cannot stand in a path; write it with % escapes, or as /healthz`}},
	{"health, both", cluster("health: {path: /h, handshake: true}"), []string{"2: clusters[0].health.handshake: a probe asks for path or opens a session; take one of the two out"}},
	{"health, status of nothing", cluster("health: {status: 204}"), []string{"2: clusters[0].health.status: it is the answer to path, and there is none; write path too, as /healthz"}},
	{"health, timeout", cluster("health: {interval: 1s, timeout: 1500ms}"), []string{"2: clusters[0].health.timeout: 1.5s is longer than interval, 1s; write at most that"}},
	{"health twice", cluster("health: {rise: 2, rise: 3}\n    health:"), []string{
		"2: clusters[0].health.rise: this was set before; clusters[0].health.rise on line 2",
		"3: clusters[0].health: this was set before; clusters[0].health on line 2",
	}},

	{"pace", cluster("pace: {handshakes: 200/h, burst: -1, slow_start: 2h}"), []string{
		`2: clusters[0].pace.handshakes: "200/h" is not a rate; write it as 200/s or 12000/m, or 0 for no limit`,
		`2: clusters[0].pace.burst: "-1" is not a whole number from 0 to 1000000`,
		"2: clusters[0].pace.slow_start: 2h is out of range; write a duration from 0s to 1h",
	}},
	{"pace, no number", cluster("pace: {handshakes: NaN}"), []string{`2: clusters[0].pace.handshakes: "NaN" is not a rate; write it as 200/s or 12000/m, or 0 for no limit`}},
	{"pace, no unit", cluster("pace: {handshakes: 200/}"), []string{`2: clusters[0].pace.handshakes: "200/" is not a rate; write it as 200/s or 12000/m, or 0 for no limit`}},
	{"pace, too slow", cluster("pace: {handshakes: 0.5/m}"), []string{`2: clusters[0].pace.handshakes: "0.5/m" is out of range; write a rate from 1/m to 1000000/s, or 0 for no limit`}},
	{"pace, too fast", cluster("pace: {handshakes: 1000001}"), []string{`2: clusters[0].pace.handshakes: "1000001" is out of range; write a rate from 1/m to 1000000/s, or 0 for no limit`}},
	{"pace, burst alone", cluster("pace: {burst: 5}"), []string{"2: clusters[0].pace.burst: without handshakes there is no limit for it to exceed; write handshakes too, as 200/s"}},

	{"release, no mapping", cluster("release: v2"), []string{"2: clusters[0].release: this takes keys below it, each with its value"}},
	{"release, empty", cluster("release: {share: 10%}"), []string{"2: clusters[0].release: a label is missing; write it and its share, as {version: v2, share: 10%}"}},
	{"release, two labels", cluster("release: {version: v2, track: canary, share: 10%}"), []string{"2: clusters[0].release.track: this takes one label and its share, and has version already; take one of them out"}},
	{"release, share misspelt", cluster("release: {version: v2, shares: 10%}"), []string{"2: clusters[0].release.shares: this takes one label, which is version, and its share; did you mean share?"}},
	{"release, label", cluster("release: {'a b': v2, share: 10%}"), []string{`2: clusters[0].release.a b: "a b" cannot be a label's name or value; write 1 to 63 letters, digits, dots, dashes and underscores`}},
	{"release, value", cluster("release: {version: v/2, share: 10%}"), []string{`2: clusters[0].release.version: "v/2" cannot be a label's name or value; write 1 to 63 letters, digits, dots, dashes and underscores`}},
	{"release, share of 10", cluster("release: {version: v2, share: 10}"), []string{"2: clusters[0].release.share: 10 is more than all; write 10%"}},
	{"release, share of 1", cluster("release: {version: v2, share: 1}"), []string{"2: clusters[0].release.share: 1 can be meant as all or as one in a hundred; write 100% or 1%"}},
	{"release, share of 101%", cluster("release: {version: v2, share: 101%}"), []string{"2: clusters[0].release.share: 101% is more than all; write at most 100%"}},
	{"release, share of 200", cluster("release: {version: v2, share: 200}"), []string{"2: clusters[0].release.share: 200 is more than all; write it as 10% or 0.1, at most 100%"}},
	{"release, no share", cluster("release: {version: v2, share: -0.1}"), []string{`2: clusters[0].release.share: "-0.1" is not a share; write it as 10% or 0.1`}},
	{"release, share missing", nodes("{name: n, url: 'http://h:1', labels: {version: v2}}") + "    release: {version: v2}\n", []string{
		"5: clusters[0].release.share: this is missing; write which share of the new sessions these nodes get, as 10%",
	}},
	{"release, no node", nodes("{name: n, url: 'http://h:1', labels: {version: v1}}", "{name: m, url: 'http://h:2', labels: {version: v0}}") + "    release: {version: v2, share: 10%}\n", []string{
		"6: clusters[0].release.version: no node has version: v2; they have v1, v0",
	}},
	{"release, near", nodes("{name: n, url: 'http://h:1', labels: {version: v2}}") + "    release: {verson: v2, share: 10%}\n", []string{
		"5: clusters[0].release.verson: no node has a label verson; did you mean version?",
	}},
	{"release, no label", cluster("release: {version: v2, share: 10%}"), []string{"2: clusters[0].release.version: no node has a label version; write labels: {version: v2} at a node"}},
	{"labels", nodes("{name: n, url: 'http://h:1', labels: [a]}", "{name: m, url: 'http://h:2', labels: {share: x, a/b: x, b: '', c: [x]}}"), []string{
		"4: clusters[0].nodes[0].labels: this takes keys below it, each with its value",
		"5: clusters[0].nodes[1].labels.share: share is no name for a label: in release it is the share of new sessions",
		`5: clusters[0].nodes[1].labels.a/b: "a/b" cannot be a label's name or value; write 1 to 63 letters, digits, dots, dashes and underscores`,
		`5: clusters[0].nodes[1].labels.b: "" cannot be a label's name or value; write 1 to 63 letters, digits, dots, dashes and underscores`,
		"5: clusters[0].nodes[1].labels.c: this takes a plain value, not keys or a list below it",
	}},

	{"discover, empty", cluster("discover: {}"), []string{`2: clusters[0].discover: it does not say where; write one of dns, srv and kubernetes, as {dns: "chat:3000"}`}},
	{"discover, two", cluster("discover: {dns: 'a:1', srv: _a._tcp.b}"), []string{"2: clusters[0].discover.srv: dns and srv are there; write one of them, or two clusters"}},
	{"discover, a word", cluster("discover: kubernetes"), []string{"2: clusters[0].discover: this takes keys below it: dns, srv, kubernetes, interval, tls"}},
	{"discover, alone but wrong", "clusters: [{name: a, discover: {dns: x}}]\n", []string{`1: clusters[0].discover.dns: "x" has no port, and A and AAAA records hold none; write x:3000, or srv where SRV records hold it`}},
	{"discover, dns, a URL", cluster("discover: {dns: 'http://a:1'}"), []string{`2: clusters[0].discover.dns: "http://a:1" is a URL; write only host:port, as chat:3000`}},
	{"discover, dns, an address", cluster("discover: {dns: '10.0.0.1:1'}"), []string{`2: clusters[0].discover.dns: "10.0.0.1:1" is an address, which needs no look-up; write it in nodes`}},
	{"discover, dns, nonsense", cluster("discover: {dns: 'a b:1'}"), []string{`2: clusters[0].discover.dns: "a b:1" is not host:port; write it as chat:3000`}},
	{"discover, srv, a port", cluster("discover: {srv: '_a._tcp.b:80'}"), []string{`2: clusters[0].discover.srv: "_a._tcp.b:80" has a port, and SRV records hold their own; write the name alone, or dns`}},
	{"discover, srv, a URL", cluster("discover: {srv: 'http://b'}"), []string{`2: clusters[0].discover.srv: "http://b" is a URL; write only the name, as _sio._tcp.chat`}},
	{"discover, srv, an address", cluster("discover: {srv: '10.0.0.1'}"), []string{`2: clusters[0].discover.srv: "10.0.0.1" is no name of SRV records; write it as _sio._tcp.chat`}},
	{"discover, kubernetes", cluster("discover: {interval: 1ms, kubernetes: {service: Chat, namespace: a_b, port: 70000, api: 'h:6443'}}"), []string{
		"2: clusters[0].discover.interval: 1ms is out of range; write a duration from 1s to 1h",
		`2: clusters[0].discover.kubernetes.service: "Chat" is no name in Kubernetes; write up to 63 small letters, digits and dashes, as chat`,
		`2: clusters[0].discover.kubernetes.namespace: "a_b" is no name in Kubernetes; write up to 63 small letters, digits and dashes, as chat`,
		`2: clusters[0].discover.kubernetes.port: "70000" is no port of a Service; write its name, as http, or a number from 1 to 65535`,
		`2: clusters[0].discover.kubernetes.api: "h:6443" has no scheme; write https://h:6443`,
	}},
	{"discover, kubernetes, no service", cluster("discover: {kubernetes: {namespace: a}}"), []string{"2: clusters[0].discover.kubernetes.service: this is missing; write the Service's name"}},
	{"discover, kubernetes, a word", cluster("discover: {kubernetes: chat}"), []string{"2: clusters[0].discover.kubernetes: this takes keys below it: service, namespace, port, api"}},
	{"node_tls, no file", cluster("node_tls: {ca: /nowhere.pem}"), []string{`2: clusters[0].node_tls.ca: "/nowhere.pem" cannot be read: no such file or directory`}},
	{"node_tls, a port", cluster("node_tls: {name: 'h:1'}"), []string{`2: clusters[0].node_tls.name: "h:1" is no host; write a name that stands in the certificates, as chat.internal`}},
	{"node_tls, insecure", cluster("node_tls: {insecure: true, name: h}"), []string{`2: clusters[0].node_tls.insecure: with it nobody looks at the nodes' certificates; take it out, or ca and name`}},
	{"discover, api, a password", cluster("discover: {kubernetes: {service: a, api: 'https://u:secret@h'}}"), []string{"2: clusters[0].discover.kubernetes.api: the API takes no user and password here; write only https://host:port"}},
	{"discover, api, a query", cluster("discover: {kubernetes: {service: a, api: 'https://h?x'}}"), []string{`2: clusters[0].discover.kubernetes.api: "https://h?x" has a query; write only https://host:6443`}},
	{"discover, api, a port", cluster("discover: {kubernetes: {service: a, api: 'https://h:0'}}"), []string{`2: clusters[0].discover.kubernetes.api: "https://h:0" has no valid port; write a number from 1 to 65535`}},
	{"discover, api, a scheme", cluster("discover: {kubernetes: {service: a, api: 'ftp://h'}}"), []string{`2: clusters[0].discover.kubernetes.api: "ftp://h" is not the API's URL; write it as https://host:6443`}},

	{"headers", cluster("request_headers: {set: {X Env: secret, X-A: \"secret\\nb\", te: secret, Host: secret, content-length: secret}, remove: [x-forwarded-for, X-FORWARDED-, Forwarded, X-Real-Ip, Sec-WebSocket-Key, '']}"), []string{
		`2: clusters[0].request_headers.set.X Env: "X Env" is no header's name; write letters, digits and dashes, as X-Env`,
		"2: clusters[0].request_headers.set.X-A: the value holds a line break or another control character; write it on one line",
		"2: clusters[0].request_headers.set.te: te cannot be changed: it is for one connection only, and sidway speaks to nodes over connections of its own",
		"2: clusters[0].request_headers.set.Host: Host cannot be changed: nodes get the host that the client asked for",
		"2: clusters[0].request_headers.set.content-length: content-length cannot be changed: it must be the length of the body that the client sends",
		"2: clusters[0].request_headers.remove[0]: x-forwarded-for cannot be changed: sidway writes it itself, by the client's address and trusted_proxies",
		"2: clusters[0].request_headers.remove[1]: X-FORWARDED- cannot be changed: sidway writes it itself, by the client's address and trusted_proxies",
		"2: clusters[0].request_headers.remove[2]: Forwarded cannot be changed: sidway writes it itself, by the client's address and trusted_proxies",
		"2: clusters[0].request_headers.remove[3]: X-Real-Ip cannot be changed: sidway writes it itself, by the client's address and trusted_proxies",
		"2: clusters[0].request_headers.remove[4]: Sec-WebSocket-Key cannot be changed: client and node open the WebSocket by it",
		`2: clusters[0].request_headers.remove[5]: "" is no header's name; write letters, digits and dashes, as X-Env`,
	}},
	{"headers, twice", cluster("request_headers: {set: {X-Env: a, x-env: b}, remove: [X-ENV]}"), []string{
		`2: clusters[0].request_headers.set.x-env: "x-env" is also clusters[0].request_headers.set.X-Env on line 2; the case of letters is nothing to HTTP; write it once`,
		`2: clusters[0].request_headers.remove: "x-env" is also clusters[0].request_headers.set.X-Env on line 2; write it once; what is set replaces the client's anyway`,
	}},
	{"headers, unknown key", cluster("request_headers: {sets: {}, X-Env: prod}"), []string{
		"2: clusters[0].request_headers.sets: unknown key; did you mean set?",
		"2: clusters[0].request_headers.X-Env: unknown key; the keys here are set, remove",
	}},
	{"headers, long", cluster("request_headers: {set: {X: " + long + "}}"), []string{"2: clusters[0].request_headers.set.X: the value is longer than 4096 bytes, which not every node takes"}},

	{"static, no mapping", cluster("static: ./public"), []string{"2: clusters[0].static: this takes keys below it, each with its value"}},
	{"static, no mapping below", cluster("static: {/a/: ./public}"), []string{"2: clusters[0].static./a/: this takes keys below it: dir, max_age"}},
	{"static, prefixes", cluster("static: {a/: {dir: .}, /b: {dir: .}, /c//: {dir: .}, \"/d/\\n\": {dir: .}}"), []string{
		`2: clusters[0].static.a/: "a/" does not begin with /; write "/a/"`,
		`2: clusters[0].static./b: "/b" does not end with /; write "/b/"`,
		`2: clusters[0].static./c//: "/c//" has empty or dotted parts; write it out, as /socket.io/`,
		"2: clusters[0].static: keys are plain words here; aliases, merges, tags and numbers are not understood",
	}},
	{"static, twice", cluster("static: {/a/: {dir: .}, /a/: {dir: .}}"), []string{"2: clusters[0].static./a/: this was set before; clusters[0].static./a/ on line 2"}},
	{"static, no directory", cluster("static: {/a.b/: {}, /c/: {max_age: 9000h}}"), []string{
		"2: clusters[0].static./c/.max_age: 9000h is out of range; write a duration from 0s to 8760h",
		"2: clusters[0].static./a.b/.dir: this is missing; write the directory, as {dir: ./public}",
	}},
	{"static, above and below", cluster("path: /a/b/\n    static: {/: {dir: .}, /a/: {dir: .}, /a/b/: {dir: .}, /a/b/c/: {dir: .}, /a/bc/: {dir: .}}"), []string{
		"3: clusters[0].static./a/b/c/: it is below Socket.IO's path /a/b/, which nodes answer; write a prefix beside it, as /assets/",
		"3: clusters[0].static./a/b/: it is below Socket.IO's path /a/b/, which nodes answer; write a prefix beside it, as /assets/",
	}},
	{"static, of two clusters", `clusters:
  - {name: a, host: x, path: /a/, static: {/s/: {dir: .}}, nodes: ['http://h:1']}
  - {name: b, host: x, path: /b/, static: {/s/: {dir: .}, /s/t/: {dir: .}, /a/x/: {dir: .}}, nodes: ['http://h:1']}
  - {name: c, host: x, path: /s/u/, nodes: ['http://h:1']}
  - {name: d, host: y, path: /b/, static: {/s/: {dir: .}}, nodes: ['http://h:1']}
`, []string{
		"3: clusters[1].static./a/x/: x/a/x/ never gets here, because clusters[0] on line 2 with x/a/ comes first; write this cluster before it",
		"3: clusters[1].static./s/t/: x/s/t/ never gets here, because clusters[0] on line 2 with x/s/ comes first; write this cluster before it",
		"3: clusters[1].static./s/: x/s/ also leads to clusters[0] on line 2; give one of them another host or path",
	}},
	{"admin token", "admin: {token: 'sec ret'}\n" + good, []string{"1: admin.token: a token takes only letters, digits and -._~+/; make one by: openssl rand -hex 16"}},
}
