package config_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/config"
)

// good is a cluster that nothing is wrong with, on one line.
const good = "clusters: [{name: a, nodes: [{name: n1, url: 'http://h:1'}]}]\n"

// long is longer than the value of a header may be.
var long = strings.Repeat("x", 4097)

const (
	noName = "this is missing; every cluster needs a name of its own; it is part of the keys in Redis, so keep it"
	noNode = "this is missing; every node needs a name of its own; bindings hold it, so keep it when the address changes"
)

// problem is a file and everything that Load must say of it.
type problem struct {
	name string
	text string
	want []string // line: key: text
}

var problems = []problem{
	{"nothing", "", []string{": there are no nodes to send anything to; write clusters in the file, or set SIDWAY_NODES, or give --node http://127.0.0.1:3001"}},
	{"unknown key, near", "affinty: {redis: x}\n" + good, []string{"1: affinty: unknown key; did you mean affinity?"}},
	{"unknown key, clusters", "cluster:\n  - {name: chat, nodes: ['http://h:1']}\n", []string{"1: cluster: unknown key; did you mean clusters?"}},
	{"indented by a tab", "clusters:\n\t- {name: chat, nodes: ['http://h:1']}\n", []string{"2: not YAML: the line is indented by a tab; indent with spaces"}},
	{"unknown key, dashes", "access-log: true\n" + good, []string{"1: access-log: unknown key; did you mean access_log?"}},
	{"unknown key, elsewhere", "header_time: 3s\n" + good, []string{"1: header_time: unknown key; it belongs elsewhere, as limits.header_time"}},
	{"unknown key, far", "log: {colour: red}\n" + good, []string{"1: log.colour: unknown key; the keys here are level, format, access, access_format"}},
	{"key twice", "listen: ':1'\n" + good + "listen: ':2'\n", []string{"3: listen: this was set before; listen on line 1"}},
	{"section twice", "log: {level: info}\nlog: {level: warn}\n" + good, []string{"2: log: this was set before; log on line 1"}},
	{"no plain keys", "1: 2\n<<: {}\n? a\n: c\n" + good, []string{
		"1: keys are plain words here; aliases, merges, tags and numbers are not understood",
		"2: keys are plain words here; aliases, merges, tags and numbers are not understood",
		"4: keys are plain words here; aliases, merges, tags and numbers are not understood",
	}},
	{"section is a value", "admin: off\n" + good, []string{"1: admin: this takes keys below it: listen, hosts, pprof, open_metrics, token"}},
	{"value is a section", "access_log: {a: b}\n" + good, []string{"1: access_log: this takes a plain value, not keys or a list below it"}},
	{"value is a list", "access_log: [true]\n" + good, []string{"1: access_log: this takes one value, not a list"}},
	{"no value", "access_log:\n" + good, []string{"1: access_log: there is no value; write one, or leave the key out where it has a default"}},
	{"access log below its level", "access_log: true\nlog: {level: warn}\n" + good, []string{
		"1: access_log: its lines are of level info, and log.level warn leaves them out; write info there, or false here",
	}},
	{"two documents", good + "---\nlisten: ':2'\n", []string{"3: a second document begins here; write one document without ---"}},
	{"not YAML", "listen: [::1]:80\n", []string{"1: not YAML: value is not allowed in this context; mind the indentation, and put values that begin with [ { * & @ or % in quotes, and those with ${ in a list or section on one line"}},
	{"alias", "listen: *all\n" + good, []string{"1: listen: a value that begins with * needs quotes, as \"*.example.com\"; YAML's aliases are not understood"}},
	{"anchor and tag", "listen: [&a b, !c d]\n" + good, []string{
		"1: listen[0]: a value that begins with & needs quotes; YAML's anchors are not understood",
		"1: listen[1]: a value that begins with ! needs quotes; YAML's tags are not understood",
	}},

	{"format of no access log", "access_log: true\nlog: {access_format: combined}\n" + good, []string{
		"2: log.access_format: it is the format of log.access, which is not there; write log.access: stdout or a file, or take it out: lines in the log are written in log.format",
	}},
	{"access log to the log", "log: {access: stderr, access_format: apache}\n" + good, []string{
		"1: log.access: the log goes to stderr; write access_log: true for lines in the log, or stdout or a file here",
		`1: log.access_format: "apache" is unknown; write one of text, json, combined`,
	}},
	{"traces", "trace: {endpoint: \"otel:4318\", sample: 2}\n" + good, []string{
		`1: trace.endpoint: "otel:4318" has no scheme; write http://otel:4318`,
		`1: trace.sample: 2 is more than all; write 2%`,
	}},
	{"traces by gRPC", "trace: {endpoint: \"http://otel:4317\"}\n" + good, []string{
		`1: trace.endpoint: "http://otel:4317" is where collectors take OTLP over gRPC; write the port for HTTP, which is 4318 as a rule`,
	}},
	{"traces with a password", "trace: {endpoint: \"http://me:secret@otel:4318\"}\n" + good, []string{
		"1: trace.endpoint: a collector takes no user and password here; set OTEL_EXPORTER_OTLP_HEADERS",
	}},
	{"traces to nowhere", "trace: {endpoint: \"grpc://otel\"}\n" + good, []string{
		`1: trace.endpoint: "grpc://otel" is not a collector's URL; write it as http://127.0.0.1:4318`,
	}},
	{"access log in no directory", "log: {access: /nowhere/sidway/access.log}\n" + good, []string{`1: log.access: "/nowhere/sidway" cannot be read: no such file or directory`}},
	{"access log that is no file", "log: {access: /dev/null}\n" + good, []string{`1: log.access: "/dev/null" is not a file; write stdout, or a file as /var/log/sidway/access.log`}},
	{"access log below a file", "log: {access: problems_test.go/x}\n" + good, []string{`1: log.access: "problems_test.go" is a file, not a directory`}},
	{"variables", "listen: ${NONE}:80\naffinity:\n  redis: 'redis://:s${ecret@h'\n  prefix: '${A:-secret}'\nlimits: {queue: '${}'}\naccess_log: ${EMPTY}\nlog: {level: '${VALUE}', \"${VALUE}\": x}\ntrusted_proxies: [::1, '${LINE}']\n" + good, []string{
		"1: listen: the variable NONE is not set, or empty; set it, or write $${ for a literal ${",
		"3: affinity.redis: ${ begins a variable here, as ${NAME}; write $${ for a literal ${",
		"4: affinity.prefix: ${ begins a variable here, as ${NAME}; write $${ for a literal ${",
		"5: limits.queue: ${ begins a variable here, as ${NAME}; write $${ for a literal ${",
		"6: access_log: the variable EMPTY is not set, or empty; set it, or write $${ for a literal ${",
		`7: log.level: "a, b: [c" is unknown; write one of debug, info, warn, error`,
		"7: log.${VALUE}: unknown key; the keys here are level, format, access, access_format",
		"8: trusted_proxies[1]: the variable LINE holds a line break or another control character",
	}},
	{"variable without quotes", "admin: {listen: ${VALUE}}\n" + good, []string{"1: not YAML: ',' or '}' must be specified; mind the indentation, and put values that begin with [ { * & @ or % in quotes, and those with ${ in a list or section on one line"}},

	{"listen", "listen: [8080, 'http://h:1', h, 'h h:1', 'h:99999', 'h:http']\n" + good, []string{
		`1: listen[0]: "8080" is a port without a colon; write :8080`,
		`1: listen[1]: "http://h:1" is a URL; write only host:port, as 0.0.0.0:8080`,
		`1: listen[2]: "h" is no address; write host:port, as 0.0.0.0:8080, :8080 or [::1]:8080`,
		`1: listen[3]: "h h:1" has no valid host; write an IP address, a host name, or nothing for all addresses`,
		`1: listen[4]: "h:99999" has no valid port; write a number from 0 (any free port) to 65535`,
		`1: listen[5]: "h:http" has no valid port; write a number from 0 (any free port) to 65535`,
	}},
	{"listen, Unix sockets", "listen:\n  - unix:run/s\n  - unix:/run/\n  - 'unix:/" + long[:103] + "'\n  - {address: unix:/run/s, mode: 8}\n  - unix:/run/s;mod=0660\n" +
		"  - {address: ':80', mode: 0660}\n  - :81;mode=660\n  - {address: 'unix:/s', mode: 1777}\n" + good, []string{
		`2: listen[0]: "unix:run/s" names no file by its whole path; write it as unix:/run/sidway.sock`,
		`3: listen[1]: "unix:/run/" names no file by its whole path; write it as unix:/run/sidway.sock`,
		`4: listen[2]: the path has 104 bytes, and a Unix socket's may have 103; write a shorter one`,
		`5: listen[3].mode: "8" is no mode of a file; write it as chmod takes it, as 0660`,
		`6: listen[4]: "mod" is unknown; did you mean mode?`,
		"7: listen[5].mode: only a Unix socket has one; write unix:/path for the address, or take it out",
		"8: listen[6]: mode: only a Unix socket has one; write unix:/path for the address, or take it out",
		`9: listen[7].mode: "1777" is no mode of a file; write it as chmod takes it, as 0660`,
	}},
	{"listen, objects", "listen:\n  - {mode: 0660}\n  - {adress: ':1'}\n  - [':1']\n  - {address: [':1']}\n" + good, []string{
		"2: listen[0].address: this is missing; write host:port, unix:/path or fd:NAME",
		"3: listen[1].adress: unknown key; did you mean address?",
		"3: listen[1].address: this is missing; write host:port, unix:/path or fd:NAME",
		"4: listen[2]: this takes a plain value, not keys or a list below it",
		"5: listen[3].address: this takes one value, not a list",
	}},
	{"listen, sockets of systemd", "listen: ['fd:', 'fd:admin', fd:a, fd:a, fd:8080, ':8080']\n" + good, []string{
		`1: listen[0]: "fd:" names no socket; write the FileDescriptorName of systemd's socket unit, as fd:sidway.socket`,
		"1: listen[1]: the socket called admin is for the admin address; call this one otherwise",
		"1: listen: fd:a is written twice",
	}},
	{"listen, PROXY protocol", "listen: [':80', {address: 'unix:/s', proxy_protocol: 1}, ':81;proxy_protocol=yes', ':82;proxy_protocol']\n" + good, []string{
		`1: listen[1].proxy_protocol: "1" is neither true nor false`,
		`1: listen[2]: proxy_protocol: "yes" is neither true nor false`,
		"1: listen: :82 would serve nobody, since the PROXY protocol is taken from trusted_proxies alone; write the balancers' addresses there",
	}},
	{"listen, redirects", "listen: [':80;redirect=http', {address: ':81', redirect: 'https:0'}, ':82;redirect', ':83;redirect=https:443']\n" + good, []string{
		`1: listen[0]: redirect: "http" is unknown; write https, or https:8443 where clients are served at another port than 443`,
		`1: listen[1].redirect: "https:0" is unknown; write https, or https:8443 where clients are served at another port than 443`,
		`1: listen[2]: redirect: "true" is unknown; write https, or https:8443 where clients are served at another port than 443`,
	}},
	{"listen, nothing but redirects", "listen: [':80;redirect=https', ':81;redirect=https:8443']\n" + good, []string{
		"1: listen: all of them redirect, and nobody would be served; write one without redirect, too",
	}},
	{"listen, TLS", "listen: [':443;tls', {address: ':80', tls: true, redirect: https}]\ntls: {hsts: 31536000}\n" + good, []string{
		"1: listen[1].redirect: clients that speak TLS are where they are to be sent to; take it out, or tls",
		`2: tls.hsts: "31536000" has no unit; write 31536000s or 31536000ms`,
	}},
	{"listen, TLS without certificates", "listen: [':80', ':443;tls']\n" + good, []string{
		"1: listen: :443 is to speak TLS, and there is no certificate; write tls.certificates or tls.acme.domains",
	}},
	{"listen, certificates without TLS", "tls: {acme: {domains: [a.example.com], storage: /tmp}}\n" + good, []string{
		`1: tls.acme.domains: nobody is shown their certificates, since no listener speaks TLS; write listen: [{address: ":443", tls: true}]`,
	}},
	{"listen, empty", "listen: []\n" + good, []string{"1: listen: the list is empty; write at least one address, as 0.0.0.0:8080"}},
	{"same port", "listen: [':80', '0.0.0.0:80', '[::1]:81', '127.0.0.1:81']\nadmin: {listen: '127.0.0.1:81'}\n" + good, []string{
		"1: listen: :80 and 0.0.0.0:80 are the same port of the same host",
		"2: admin.listen: 127.0.0.1:81 is taken by listen 127.0.0.1:81; use another port",
	}},
	{"admin", "admin: {listen: of}\n" + good, []string{`1: admin.listen: "of" is no address; write host:port, as 0.0.0.0:8080, :8080 or [::1]:8080; or off`}},
	{"admin hosts", "admin: {hosts: ['*', 'http://h', 'h:9090'], pprof: 1}\n" + good, []string{
		`1: admin.hosts[0]: all hosts would be a web page's too; name each, as ops.example.com or "*.example.com"`,
		`1: admin.hosts[1]: "http://h" is a URL; write only the host, as chat.example.com`,
		`1: admin.hosts[2]: "h:9090" has a port, and clients may use any; write h`,
		`1: admin.pprof: "1" is neither true nor false`,
	}},
	{"affinity", "affinity:\n  redis: 127.0.0.1:6379\n  prefix: '{x}'\n  cache: 1e6\n" + good, []string{
		`2: affinity.redis: "127.0.0.1:6379" has no scheme; write redis://127.0.0.1:6379/0`,
		`3: affinity.prefix: "{x}" is no prefix; write up to 64 letters, digits and :._-, as "sidway:"`,
		`4: affinity.cache: "1e6" is not a whole number from 1 to 1000000000`,
	}},
	{"redis, scheme", "affinity: {redis: 'redis+sentinal://h'}\n" + good, []string{`1: affinity.redis: the scheme "redis+sentinal" is unknown; did you mean redis+sentinel?`}},
	{"redis, no server", "affinity: {redis: 'redis://:secret@/0'}\n" + good, []string{"1: affinity.redis: the URL names no server; write redis://host:6379"}},
	{"redis, no database", "affinity:\n  redis: 'redis://:secret@h/one'\n" + good, []string{"2: affinity.redis: the database after the host must be a number, as in redis://host:6379/0"}},
	{"redis, no master", "affinity: {redis: 'redis+sentinel://:secret@h1,h2'}\n" + good, []string{"1: affinity.redis: the master's name is missing: redis+sentinel://host1,host2/master-name/0"}},
	{"redis, no such option", "affinity: {redis: 'redis://h?timeout=secret'}\n" + good, []string{"1: affinity.redis: an option is not known here: there are ca and, for Sentinel, sentinel_username and sentinel_password"}},
	{"redis, no port", "affinity: {redis: 'redis://h:x'}\n" + good, []string{"1: affinity.redis: a port must be a number from 1 to 65535"}},
	{"redis, / in the password", "affinity: {redis: 'redis://:/secret@h:1/0'}\n" + good, []string{"1: affinity.redis: write / ? # @ in the user or password as %2F %3F %23 %40"}},
	{"redis, # in the password", "affinity: {redis: 'redis://:se#cret@h:1/0'}\n" + good, []string{"1: affinity.redis: write / ? # @ in the user or password as %2F %3F %23 %40"}},
	{"redis, ? in the password", "affinity: {redis: 'redis://:?secret@h:1/0'}\n" + good, []string{"1: affinity.redis: write / ? # @ in the user or password as %2F %3F %23 %40"}},
	{"redis, / and @ in the password", "affinity: {redis: 'redis://:se@c/ret@h:1/0'}\n" + good, []string{"1: affinity.redis: write / ? # @ in the user or password as %2F %3F %23 %40"}},
	{"redis, no URL", "affinity: {redis: ':secret@h:1'}\n" + good, []string{"1: affinity.redis: this is not a Redis URL; write redis://host:6379/0 or redis://:password@host:6379/0"}},
	{"redis, late scheme", "affinity: {redis: ':secret@redis://h'}\n" + good, []string{"1: affinity.redis: this is not a Redis URL; write redis://host:6379/0 or redis://:password@host:6379/0"}},
	{"words", "access_log: yes\nlog: {level: warning, format: xml}\n" + good, []string{
		`1: access_log: "yes" is neither true nor false`,
		`2: log.level: "warning" is unknown; did you mean warn?`,
		`2: log.format: "xml" is unknown; write one of text, json`,
	}},
	{"proxies", "trusted_proxies: [10.0.0.1/8, proxy, 'fe80::1%eth0']\n" + good, []string{
		"1: trusted_proxies[0]: 10.0.0.1/8 has bits set behind its mask; write 10.0.0.0/8 for the network, or 10.0.0.1 for the one address",
		`1: trusted_proxies[1]: "proxy" is neither an address nor a network; write it as 10.0.0.7 or 10.0.0.0/8`,
		`1: trusted_proxies[2]: "fe80::1%eth0" is neither an address nor a network; write it as 10.0.0.7 or 10.0.0.0/8`,
	}},
	{"limits", "limits:\n  header_time: 5\n  body_time: 10x\n  idle_time: 3h\n  write_time: 0s\n  connections: 010\n  body_rate: 1XB\n  queue: -1\n" + good, []string{
		`2: limits.header_time: "5" has no unit; write 5s or 5ms`,
		`3: limits.body_time: "10x" is not a duration; write it as 500ms, 5s or 1m30s`,
		"4: limits.idle_time: 3h is out of range; write a duration from 1ms to 1h",
		"5: limits.write_time: 0s is out of range; write a duration from 1ms to 1h",
		`6: limits.connections: "010" is not a whole number from 0 to 100000000`,
		`7: limits.body_rate: "1XB" is not a number of bytes; write it as 1000000, 1MB or 1MiB`,
		`8: limits.queue: "-1" is not a whole number from 0 to 1000000`,
	}},
	{"shutdown", "shutdown: {waves: 0, notice: 2h}\n" + good, []string{
		`1: shutdown.waves: "0" is not a whole number from 1 to 1000`,
		"1: shutdown.notice: 2h is out of range; write a duration from 0s to 1h",
	}},

	{"clusters, null", "clusters:\n", []string{"1: clusters: the list is empty; write at least one cluster with its nodes"}},
	{"clusters, no list", "clusters: {name: a}\n", []string{`1: clusters: this takes a list; begin each item with a dash, as "- name: …"`}},
	{"clusters, no mappings", "clusters:\n  - a\n  -\n", []string{
		"2: clusters[0]: this takes keys below it: name, host, path, balance, hash_by, keep_alive, proxy_protocol, max_body, health, pace, release, discover, auth, request_headers, static, origins, cors, guard, sessions, node_tls, maintenance, nodes",
		"3: clusters[1]: there is nothing behind the dash",
	}},
	{"cluster, empty", "clusters:\n  - {}\n", []string{
		"2: clusters[0].name: " + noName,
		"2: clusters[0].nodes: this is missing; write at least one node, as - {name: n1, url: http://127.0.0.1:3001}, or discover",
	}},
	{"nodes, empty", "clusters:\n  - name: a\n    nodes: []\n", []string{"3: clusters[0].nodes: the list is empty; write at least one node"}},
	{"names", "clusters:\n  - {name: a, nodes: [{name: n, url: 'http://h:1'}, {name: n, url: 'http://h:2'}]}\n  - {name: a, path: /b, nodes: [{name: 'n 1', url: 'http://h:1'}]}\n", []string{
		`2: clusters[0].nodes[1].name: "n" is also clusters[0].nodes[0].name on line 2; node names must differ within a cluster`,
		`3: clusters[1].nodes[0].name: "n 1" is no name; write up to 64 letters, digits, dots, dashes and underscores, the first a letter or digit`,
		`3: clusters[1].name: "a" is also clusters[0].name on line 2; cluster names must differ`,
	}},
	{"routes", `clusters:
  - {name: a, host: [x.y, X.y.], path: /p, nodes: [{name: n, url: 'http://h:1'}]}
  - {name: b, host: X.Y, path: /p/, nodes: [{name: n, url: 'http://h:1'}]}
  - {name: c, host: "*.y", path: /p/, nodes: [{name: n, url: 'http://h:1'}]}
  - {name: d, path: /p/, nodes: [{name: n, url: 'http://h:1'}]}
  - {name: e, path: /p/q, nodes: [{name: n, url: 'http://h:1'}]}
  - {name: f, path: /p/, nodes: [{name: n, url: 'http://h:1'}]}
  - {name: g, host: ['*.b', 'a.b'], path: /, nodes: [{name: n, url: 'http://h:1'}]}
  - {name: h, host: ['a.b', '*.c.b', 'b', 'ab'], path: /o/, nodes: [{name: n, url: 'http://h:1'}]}
`, []string{
		`2: clusters[0].host: "x.y" is written twice`,
		"3: clusters[1].path: x.y/p/ also leads to clusters[0] on line 2; give one of them another host or path",
		"6: clusters[4].path: /p/q/ never gets here, because clusters[3] on line 5 with /p/ comes first; write this cluster before it",
		"7: clusters[5].path: /p/ also leads to clusters[3] on line 5; give one of them another host or path",
		`8: clusters[6].host: "a.b" is part of "*.b", which is written before it`,
		"9: clusters[7].path: a.b/o/ never gets here, because clusters[6] on line 8 with *.b/ comes first; write this cluster before it",
		"9: clusters[7].path: *.c.b/o/ never gets here, because clusters[6] on line 8 with *.b/ comes first; write this cluster before it",
	}},
	{"hosts", "clusters:\n  - name: a\n    host: ['a.b:80', 'http://x', '*', 'a.*.c', '::1', 'münchen.de']\n    nodes: [{name: n, url: 'http://h:1'}]\n", []string{
		`3: clusters[0].host[0]: "a.b:80" has a port, and clients may use any; write a.b`,
		`3: clusters[0].host[1]: "http://x" is a URL; write only the host, as chat.example.com`,
		"3: clusters[0].host[2]: leave host out to serve any host",
		`3: clusters[0].host[3]: "a.*.c": a * may only stand for the first part, as "*.example.com"`,
		`3: clusters[0].host[4]: "::1" needs brackets; write "[::1]"`,
		`3: clusters[0].host[5]: "münchen.de" is no host name; write it in ASCII, as chat.example.com or xn--mnchen-3ya.de`,
	}},
	{"path, relative", cluster("path: x"), []string{`2: clusters[0].path: "x" does not begin with /; write "/x/"`}},
	{"path, empty part", cluster("path: /a//b"), []string{`2: clusters[0].path: "/a//b" has empty or dotted parts; write it out, as /socket.io/`}},
	{"path, dots", cluster("path: /a/.."), []string{`2: clusters[0].path: "/a/.." has empty or dotted parts; write it out, as /socket.io/`}},
	{"path, escape", cluster("path: /a%20"), []string{`2: clusters[0].path: "/a%20": only letters, digits and -._~/ can stand in a path here, not "%"`}},
	{"balance", cluster("balance: least_session"), []string{`2: clusters[0].balance: "least_session" is unknown; did you mean least_sessions?`}},
	{"keep_alive", cluster("keep_alive: no"), []string{`2: clusters[0].keep_alive: "no" is neither true nor false`}},
	{"max_body", cluster("max_body: 2TB"), []string{`2: clusters[0].max_body: "2TB" is not a number of bytes; write it as 1000000, 1MB or 1MiB`}},
	{"max_body, overflow", cluster("max_body: 9000000000 GiB"), []string{"2: clusters[0].max_body: 9000000000 GiB is more than a terabyte"}},

	{"url missing", nodes("{name: n}"), []string{"4: clusters[0].nodes[0].url: this is missing; write http://host:port"}},
	{"name missing", nodes("{url: 'http://h:1'}"), []string{"4: clusters[0].nodes[0].name: " + noNode}},
	{"url https, a path", nodes("{name: n, url: 'https://h:1/x'}"), []string{`4: clusters[0].nodes[0].url: "https://h:1/x" has more than an address; write https://h:1 (the cluster's path is a setting of its own)`}},
	{"url https, no port", nodes("{name: n, url: 'HTTPS://h'}"), []string{`4: clusters[0].nodes[0].url: "HTTPS://h" has no port; write https://h:443 if that is meant`}},
	{"url ws", nodes("{name: n, url: 'ws://h/x'}"), []string{`4: clusters[0].nodes[0].url: "ws://h/x": nodes are spoken to by HTTP or HTTPS, for WebSockets too; write http://host:port`}},
	{"url bare", nodes("{name: n, url: 'h:1'}"), []string{`4: clusters[0].nodes[0].url: "h:1" has no scheme; write http://h:1`}},
	{"url nonsense", nodes("{name: n, url: 'h'}"), []string{`4: clusters[0].nodes[0].url: "h" is not a node's URL; write http://host:port`}},
	{"url path", nodes("{name: n, url: 'http://h:1/'}"), []string{`4: clusters[0].nodes[0].url: "http://h:1/" has more than an address; write http://h:1 (the cluster's path is a setting of its own)`}},
	{"url no port", nodes("{name: n, url: 'http://h'}"), []string{`4: clusters[0].nodes[0].url: "http://h" has no port; write http://h:80 if that is meant`}},
	{"url no port, IPv6", nodes("{name: n, url: 'http://[::1]'}"), []string{`4: clusters[0].nodes[0].url: "http://[::1]" has no port; write http://[::1]:80 if that is meant`}},
	{"url port", nodes("{name: n, url: 'http://h:70000'}"), []string{`4: clusters[0].nodes[0].url: "http://h:70000" is not a node's URL; write http://host:port with a port from 1 to 65535`}},
	{"url password", nodes("{name: n, url: 'http://u:secret@h:1'}"), []string{"4: clusters[0].nodes[0].url: a node takes no user and password; write only http://host:port"}},
	{"url twice", nodes("{name: n, url: 'http://[::1]:1'}", "{name: m, url: 'http://[0:0::1]:1'}"), []string{
		`5: clusters[0].nodes[1].url: "http://[::1]:1" is also clusters[0].nodes[0].url on line 4; one process is one node; raise its weight instead`,
	}},
	{"url of sidway", "listen: [':1', '10.0.0.1:2', '127.0.0.1:3']\nadmin: {listen: 'localhost:4'}\n" + nodes("http://localhost:1", "http://127.0.0.1:1",
		"http://10.0.0.1:2", "http://10.0.0.2:2", "http://localhost:2", "http://localhost:3", "http://h:3", "http://127.0.0.1:4"), []string{
		`6: clusters[0].nodes[0].url: "http://localhost:1" is an address of sidway itself, listen; write where the Socket.IO server listens`,
		`7: clusters[0].nodes[1].url: "http://127.0.0.1:1" is an address of sidway itself, listen; write where the Socket.IO server listens`,
		`8: clusters[0].nodes[2].url: "http://10.0.0.1:2" is an address of sidway itself, listen; write where the Socket.IO server listens`,
		`11: clusters[0].nodes[5].url: "http://localhost:3" is an address of sidway itself, listen; write where the Socket.IO server listens`,
		`13: clusters[0].nodes[7].url: "http://127.0.0.1:4" is an address of sidway itself, admin.listen; write where the Socket.IO server listens`,
	}},
	{"weight", nodes("{name: n, url: 'http://h:1', weight: 1001}"), []string{
		`4: clusters[0].nodes[0].weight: "1001" is not a whole number from 1 to 1000; a weight says how many sessions a node takes beside the others, 1 is the default`,
	}},
	{"nodes as strings", nodes("10.0.0.1:3000", "'a b=http://g:1'", "http://h:1", "http://h:1", "'http://${NONE}:1'", "3000", "[a]"), []string{
		`4: clusters[0].nodes[0].url: "10.0.0.1:3000" has no scheme; write http://10.0.0.1:3000`,
		`5: clusters[0].nodes[1].name: "a b" is no name; write up to 64 letters, digits, dots, dashes and underscores, the first a letter or digit`,
		`7: clusters[0].nodes[3].name: "h-1" is also clusters[0].nodes[2].name on line 6; node names must differ within a cluster`,
		`7: clusters[0].nodes[3].url: "http://h:1" is also clusters[0].nodes[2].url on line 6; one process is one node; raise its weight instead`,
		"8: clusters[0].nodes[4]: the variable NONE is not set, or empty; set it, or write $${ for a literal ${",
		"9: clusters[0].nodes[5]: this takes keys below it: name, url, weight, labels",
		"10: clusters[0].nodes[6]: this takes keys below it: name, url, weight, labels",
	}},
	{"everything at once", "listen: 1\nlimits: {queue: x}\n" + nodes("{name: n, wieght: 3}"), []string{
		`1: listen: "1" is a port without a colon; write :1`,
		`2: limits.queue: "x" is not a whole number from 0 to 1000000`,
		"6: clusters[0].nodes[0].wieght: unknown key; did you mean weight?",
		"6: clusters[0].nodes[0].url: this is missing; write http://host:port",
	}},
}

// cluster is a file with one cluster that has one more setting, on line 2.
func cluster(setting string) string {
	return "clusters:\n  - " + setting + "\n    name: a\n    nodes: [{name: n, url: 'http://h:1'}]\n"
}

// nodes is a file with one cluster of these nodes, the first on line 4.
func nodes(lines ...string) string {
	return "clusters:\n  - name: a\n    nodes:\n      - " + strings.Join(lines, "\n      - ") + "\n"
}

func TestLoadTellsWhatIsWrongAndWhere(t *testing.T) {
	for _, tt := range slices.Concat(problems, clusterProblems) {
		t.Run(tt.name, func(t *testing.T) {
			file := write(t, tt.text)
			_, err := config.Load(file, env(map[string]string{"VALUE": "a, b: [c", "EMPTY": "", "LINE": "::1\n"}))
			var e *config.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want a config.Error", err)
			}
			var want []string
			for _, w := range tt.want {
				if line, ok := strings.CutPrefix(w, ": "); ok {
					want = append(want, line)
				} else {
					want = append(want, file+":"+w)
				}
			}
			if got := strings.Split(e.Error(), "\n"); !slices.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("a password is shown: %v", err)
			}
		})
	}
}

func TestLoadSaysWhichFileCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{dir, dir + "/none.yaml"} {
		if _, err := config.Load(file, none); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: got %v", file, err)
		}
	}
	large := write(t, strings.Repeat("#\n", 1<<21+1))
	if _, err := config.Load(large, none); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a file of 4 MiB: got %v", err)
	}
}
