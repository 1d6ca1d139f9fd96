package config

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/sidway/sidway/gateway/guard"
	"github.com/sidway/sidway/gateway/limits"
)

// The longest that a limit may be: what is longer is a mistake in the unit.
const longest = time.Hour

// The longest that caches may keep a file: a year is for ever to them.
const longestAge = 365 * 24 * time.Hour

// longestHSTS is two years, more than any list of such hosts asks for.
const longestHSTS = 2 * longestAge

// settings is every setting outside clusters, in the order of the example file. The file, the environment, the flags, the defaults,
// the help, sidway.example.yaml and docs/configuration.md are made of it, so a new setting is a line here and its field in Config;
// go test ./gateway/config -update writes both files.
var settings = []field[Config]{
	listenField.withDefault(":8080", "").
		withComment(`Where clients connect, one or a list of them. A list that changes while sidway runs is followed: what is new is opened, what is
gone is closed, and the others go on. Flags and the variable take the keys behind a semicolon: unix:/run/sidway.sock;mode=0660.
  :8080                     host:port; no host means all addresses
  unix:/run/sidway.sock     a Unix socket; whoever may open it is trusted as one of trusted_proxies
  fd:NAME                   sockets that systemd has opened and called so by FileDescriptorName
  {address: "unix:/run/sidway.sock", mode: 0660}
  {address: ":443", tls: true, proxy_protocol: true}
  {address: ":80", redirect: https}`).
		withHelp("", "ADDRESS", "where clients connect, more than once if need be:\nhost:port, unix:/path or fd:NAME"),
	one("admin.listen", func(c *Config) *string { return &c.Admin.Listen }, parseAdmin).withDefault("127.0.0.1:9090", "host:port, or off").
		withHelp("admin", "ADDRESS", "/healthz, /readyz and /metrics; off for none"),
	many("admin.hosts", func(c *Config) *[]string { return &c.Admin.Hosts }, parseAdminHost).
		withSample("ops.example.com,*.svc.cluster.local", `more names to be asked by: [ops.example.com, "*.svc.cluster.local"]`),
	one("admin.pprof", func(c *Config) *bool { return &c.Admin.Pprof }, parseBool).
		withDefault("false", "/debug/pprof/, profiles of up to 60 s of the running process"),
	one("admin.open_metrics", func(c *Config) *bool { return &c.Admin.OpenMetrics }, parseBool).
		withDefault("false", "/metrics for other machines without the token, as for a Prometheus that has none"),
	one("admin.token", func(c *Config) *string { return &c.Admin.Token }, parseToken).asSecret().
		withSample("output-of-openssl-rand-hex-16", `"Authorization: Bearer …", which changes need, and other machines for all but health checks`).
		withShow(func(c *Config) string { return isSet(c.Admin.Token) }).
		withComment("Never shown. Write it as ${ADMIN_TOKEN} or file:/run/secrets/token, or set SIDWAY_ADMIN_TOKEN; the flag would show it in the list of processes."),
	one("affinity.redis", func(c *Config) *string { return &c.Affinity.Redis }, parseRedis).asSecret().withSample("redis://127.0.0.1:6379/0", "").
		withComment(`One Redis for all replicas. Left out: in memory, which is enough for a single replica.
  redis://:password@host:6379/0            one server; rediss:// with TLS
  redis+sentinel://h1,h2,h3/mymaster/0     Sentinel;   rediss+sentinel:// with TLS
  redis+cluster://h1,h2,h3                 Cluster;    rediss+cluster:// with TLS`).
		withHelp("redis", "URL", `keep in Redis which node has which session, so that several replicas share it:
redis://:password@host:6379/0, redis+sentinel://…, redis+cluster://…, rediss for TLS
left out: in memory, for a single replica`),
	one("affinity.password", func(c *Config) *string { return &c.Affinity.Password }, parsePassword).asSecret().
		withSample("a-password", "of Redis, where its URL has none: ${REDIS_PASSWORD} or file:/run/secrets/redis; never shown").
		withShow(func(c *Config) string { return isSet(c.Affinity.Password) }),
	one("affinity.prefix", func(c *Config) *string { return &c.Affinity.Prefix }, parsePrefix).
		withDefault("sidway:", "what every key in Redis starts with; the cluster's name follows"),
	one("affinity.cache", func(c *Config) *int { return &c.Affinity.Cache }, whole(1, 1_000_000_000)).
		withDefault("1000000", "sessions remembered in memory, at most"),
	one("affinity.unready_after", func(c *Config) *time.Duration { return &c.Affinity.UnreadyAfter }, between(0, 24*time.Hour)).
		withDefault("0s", "for so long Redis may be of no use until /readyz says no; 0 for ever, so that it does not take all replicas out"),
	one("access_log", func(c *Config) *bool { return &c.AccessLog }, parseBool).withDefault("false", "").
		withComment(`One line in the log, of level info, for each request and for the end of each WebSocket. A request then has an id, which its
node gets as X-Request-ID: the one that it came with, if that is a plain word, else a new one. log.access writes these lines elsewhere.`).
		withHelp("", "", "write one line for each request"),
	one("log.level", func(c *Config) *string { return &c.Log.Level }, oneOf("debug", "info", "warn", "error")).
		withDefault("info", "debug, info, warn, error"),
	one("log.format", func(c *Config) *string { return &c.Log.Format }, oneOf("text", "json")).withDefault("text", "text, json"),
	one("log.access", func(c *Config) *string { return &c.Log.Access }, parseLogFile).
		withSample(Stdout, "where the access log goes by itself: stdout, or a file as /var/log/sidway/access.log").
		withShow(func(c *Config) string { return cmp.Or(c.Log.Access, "none") }).
		withComment(`With it there is an access log, also without access_log. The file is opened again on SIGUSR1, for logrotate. Where it cannot be
written as fast as lines come, lines are lost, and the log says how many; requests never wait for it.`),
	one("log.access_format", func(c *Config) *string { return &c.Log.AccessFormat }, oneOf("text", "json", "combined")).
		withDefault("text", "text, json, or combined, as Apache and nginx write it, with what is sidway's own at its end"),
	one("trace.endpoint", func(c *Config) *string { return &c.Trace.Endpoint }, parseCollector).
		withSample("http://127.0.0.1:4318", "a collector's URL, for OTLP over HTTP; left out, there are no traces").
		withShow(func(c *Config) string { return cmp.Or(c.Trace.Endpoint, "none") }),
	one("trace.sample", func(c *Config) *float64 { return &c.Trace.Sample }, parseShare).
		withDefault("1%", "of the traces that are begun here; a request that comes with a trace is recorded if that is").
		withShow(func(c *Config) string { return strconv.FormatFloat(100*c.Trace.Sample, 'g', 6, 64) + "%" }),
	many("trusted_proxies", proxiesOf, parsePrefixes).
		withSample("10.0.0.0/8,192.0.2.7,fd00::/8", "[10.0.0.0/8, 192.0.2.7, fd00::/8]").
		withComment(`Addresses and networks of the load balancers in front, whose X-Forwarded-* and Forwarded are believed. From all
others these headers are replaced. The client is the rightmost address in X-Forwarded-For (or Forwarded, where that is
missing) that is not one of these. 0.0.0.0/0 or ::/0 would let clients choose their own address; check and the log warn of it.`),
	certificatesField.withSample("/etc/ssl/a.pem;key=/etc/ssl/a.key", "as [{cert: /etc/ssl/a.pem, key: /etc/ssl/a.key}]").
		withComment(`Which one a client gets is told by the name that it asks for: one that is exactly so comes before one with a *. Clients that
ask for no name, or another, get the first. Files are read again when they change; bad ones are told, and what held before goes on.`),
	one("tls.min_version", func(c *Config) *string { return &c.TLS.MinVersion }, oneOf("1.2", "1.3")).withDefault("1.2", "1.2, 1.3"),
	one("tls.client_ca", func(c *Config) *string { return &c.TLS.ClientCA }, parseAuthorities).withShow(func(c *Config) string { return cmp.Or(c.TLS.ClientCA, "none") }).
		withSample("/etc/ssl/clients.pem", "who signs clients' certificates, PEM; left out, clients are not asked for one"),
	one("tls.client_auth", func(c *Config) *string { return &c.TLS.ClientAuth }, oneOf("require", "optional")).
		withShow(func(c *Config) string { return cmp.Or(c.TLS.ClientAuth, "none") }).
		withSample("optional", "require or optional, for client_ca: may clients come without one? Left out, they may not"),
	many("tls.tickets", func(c *Config) *[]string { return &c.TLS.Tickets }, parseTickets).
		withShow(func(c *Config) string { return cmp.Or(strings.Join(c.TLS.Tickets, ", "), TicketsOwn) }).
		withSample("redis", "by whose keys clients resume sessions: redis, own, off, or a list of files").
		withComment(`Left out: of keys in Redis, where affinity.redis is set, so that clients resume sessions at every replica; else own, which is keys in
the memory of each replica. A file has at least 32 random bytes, by: openssl rand -out ticket.key 80. New tickets are made by the first.`),
	many("tls.acme.domains", func(c *Config) *[]string { return &c.TLS.ACME.Domains }, parseDomain).
		withSample("chat.example.com", "hosts to obtain certificates for, as [chat.example.com]; with it you agree to the authority's terms"),
	one("tls.acme.email", func(c *Config) *string { return &c.TLS.ACME.Email }, parseEmail).withShow(func(c *Config) string { return cmp.Or(c.TLS.ACME.Email, "none") }).
		withSample("ops@example.com", "where the authority writes to, if it does"),
	one("tls.acme.directory", func(c *Config) *string { return &c.TLS.ACME.Directory }, parseDirectory).
		withDefault("https://acme-v02.api.letsencrypt.org/directory", "the authority"),
	one("tls.acme.ca", func(c *Config) *string { return &c.TLS.ACME.CA }, parseAuthorities).withShow(func(c *Config) string { return cmp.Or(c.TLS.ACME.CA, "the system's") }).
		withSample("/etc/ssl/acme-ca.pem", "who has signed the directory's own certificate, PEM; left out, the system knows"),
	one("tls.acme.storage", func(c *Config) *string { return &c.TLS.ACME.Storage }, parseStorage).withShow(func(c *Config) string { return cmp.Or(c.TLS.ACME.Storage, "none") }).
		withSample("redis", "redis, or a directory as /var/lib/sidway/acme; left out, redis, where affinity.redis is set"),
	many("tls.acme.challenges", func(c *Config) *[]string { return &c.TLS.ACME.Challenges }, oneOf(HTTP01, TLSALPN01)).
		withShow(func(c *Config) string {
			return cmp.Or(strings.Join(c.TLS.ACME.Challenges, ", "), HTTP01+", "+TLSALPN01)
		}).
		withSample("tls-alpn-01", "by which a host is proved to be ours, http-01 or tls-alpn-01; left out, by either"),
	one("tls.acme.eab_kid", func(c *Config) *string { return &c.TLS.ACME.EABKid }, parseEABKid).withShow(func(c *Config) string { return cmp.Or(c.TLS.ACME.EABKid, "none") }).
		withSample("kid-1", "of an account that the authority knows already (external account binding)"),
	one("tls.acme.eab_hmac", func(c *Config) *string { return &c.TLS.ACME.EABHMAC }, parseEABHMAC).withShow(func(c *Config) string { return isSet(c.TLS.ACME.EABHMAC) }).
		withSample("key-in-base64url", "its key. Never shown; write it as ${EAB_HMAC}"),
	one("tls.http2", func(c *Config) *bool { return &c.TLS.HTTP2 }, parseBool).
		withDefault("false", "offer HTTP/2 for all but WebSockets; it takes three descriptors for a client and three for each request at a time, in place of two"),
	one("tls.hsts", func(c *Config) *time.Duration { return &c.TLS.HSTS }, between(0, longestHSTS)).
		withDefault("0s", "browsers take no other way than https to this host for so long, as 8760h, once they came by it; 0s for no word of it"),
	one("limits.connections", func(c *Config) *int { return &c.Limits.Connections }, whole(0, 100_000_000)).withZero("what the limit of file descriptors allows").
		withDefault("0", "of clients, in all; 0 means what the limit of file descriptors allows. At the limit idle ones give way"),
	limit("header_time", func(l *limits.Limits) *time.Duration { return &l.HeaderTime }).
		withDefault("5s", "for the head of a request, and for the first byte of a new connection"),
	limit("body_time", func(l *limits.Limits) *time.Duration { return &l.BodyTime }).withDefault("10s", "for a body; a longer one must keep up body_rate from then on"),
	one("limits.body_rate", func(c *Config) *int64 { return &c.Limits.BodyRate }, parseSize).withZero("none").
		withDefault("1000", "bytes per second that a body must keep up after body_time; 0 for none"),
	limit("idle_time", func(l *limits.Limits) *time.Duration { return &l.IdleTime }).
		withDefault("75s", "a kept connection without a request is closed after this"),
	limit("write_time", func(l *limits.Limits) *time.Duration { return &l.WriteTime }).
		withDefault("30s", "a client that takes nothing of what is sent to it is cut after this"),
	limit("handshake_time", func(l *limits.Limits) *time.Duration { return &l.HandshakeTime }).
		withDefault("2500ms", "a node that answers nothing at all for so long gets no new sessions for a while"),
	limit("queue_time", func(l *limits.Limits) *time.Duration { return &l.QueueTime }).
		withDefault("5s", "a handshake waits this long for a node, a request for its session's binding"),
	one("limits.queue", func(c *Config) *int { return &c.Limits.Queue }, whole(0, 1_000_000)).
		withDefault("10000", "handshakes of one cluster that may wait at a time: so long for a node, and 15s for the pace"),
	one("limits.unknown_sids", func(c *Config) *int { return &c.Limits.UnknownSIDs }, whole(0, 1_000_000)).
		withDefault("4000", "unknown sids looked up per second, a quarter of them for one client address (an IPv6 /64); 0 for no limit"),
	one("limits.client_connections", func(c *Config) *int { return &c.Limits.ClientConnections }, whole(0, 100_000_000)).withZero("no limit").
		withDefault("0", "connections of one client address (an IPv6 /64) at a time; 0 for no limit").
		withComment(`What follows bounds one client address, which may be a company, a school or a mobile network: so none of it has a default. docs/security.md
says how to choose. A trusted proxy is no client, but those that it names are, and of its connections none is counted.`),
	rate("limits.client_handshakes", func(c *Config) *float64 { return &c.Limits.ClientHandshakes }).
		withDefault("0", "new sessions, upgrades and other WebSockets of one client address, as 20/s or 600/m; 0 for no limit"),
	rate("limits.client_requests", func(c *Config) *float64 { return &c.Limits.ClientRequests }).
		withDefault("0", "requests of one client address, polls too, as 200/s; 0 for no limit"),
	rate("limits.handshakes", func(c *Config) *float64 { return &c.Limits.Handshakes }).
		withDefault("0", "new sessions, upgrades and other WebSockets of all clients of this replica, as 2000/s; 0 for no limit"),
	one("limits.tunnel_rate", func(c *Config) *int64 { return &c.Limits.TunnelRate }, parseSize).withZero("no limit").
		withDefault("0", "bytes per second that one WebSocket takes from its client; more waits in the sockets; 0 for no limit"),
	one("shutdown.notice", func(c *Config) *time.Duration { return &c.Shutdown.Notice }, between(0, longest)).
		withDefault("8s", "on SIGTERM /readyz says 503 for this long before the listeners close").
		withComment(`Longer than balancers take to notice: notice > interval of their checks x failures until a server counts as down. HAProxy's
defaults are 2s x 3, and 8s is enough for them; a Kubernetes Service follows its readinessProbe, 10s x 3 by default, sooner when a
pod is deleted; docs/behind.md has more. Whoever stops sidway has to wait for notice + deadline before it kills. SIGINT (Ctrl-C) stops without notice.`),
	one("shutdown.deadline", func(c *Config) *time.Duration { return &c.Shutdown.Deadline }, between(0, longest)).
		withDefault("30s", "requests and WebSockets then have this long to end"),
	one("shutdown.waves", func(c *Config) *int { return &c.Shutdown.Waves }, whole(1, 1000)).
		withDefault("10", "WebSockets are closed, and polls released, in so many waves, spread over half of the deadline"),
	one("runtime.busy_loops", func(c *Config) *bool { return &c.Runtime.BusyLoops }, parseBool).
		withDefault("true", "GOMAXPROCS is twice the processors, and event loops do not give theirs back while they wait for a moment"),
}

func limit(key string, at func(*limits.Limits) *time.Duration) field[Config] {
	return one("limits."+key, func(c *Config) *time.Duration { return at(&c.Limits) }, between(time.Millisecond, longest))
}

func rate[T any](key string, at func(*T) *float64) field[T] {
	return one(key, at, parseRate).withShow(func(t *T) string { return shownRate(*at(t), "no limit") })
}

// clusterFields is every setting of a cluster but its nodes.
var clusterFields = []field[Cluster]{
	one("name", func(c *Cluster) *string { return &c.Name }, parseName).isRequired().
		withSample("chat", "part of the keys in Redis, so keep it"),
	many("host", func(c *Cluster) *[]string { return &c.Host }, parseHost).
		withSample("chat.example.com", `one, or a list: [chat.example.com, "*.example.com"]; none means any host`),
	one("path", func(c *Cluster) *string { return &c.Path }, parsePath).withDefault("/socket.io/", "where the nodes serve Socket.IO"),
	one("balance", func(c *Cluster) *Balance { return &c.Balance }, oneOf(LeastSessions, RoundRobin, RandomTwo, Hash)).
		withDefault(string(LeastSessions), "or round_robin, random_two, hash; all go by the nodes' weights").
		withComment(`random_two takes the one with fewer sessions of two random nodes. hash sends the same client, or the same value of what hash_by
names, to the same node.`),
	one("hash_by", func(c *Cluster) *string { return &c.HashBy }, parseHashBy).
		withSample("client", "client (its address, the default), query:NAME, header:NAME or cookie:NAME; beside balance: hash"),
	one("keep_alive", func(c *Cluster) *bool { return &c.DisableKeepAlive }, not(parseBool)).withDefault("true", "").
		withShow(func(c *Cluster) string { return shown(!c.DisableKeepAlive) }).
		withComment(`False for "nodes" that hand each connection to one of several processes, as cluster workers behind @socket.io/sticky do.`),
	one("proxy_protocol", func(c *Cluster) *string { return &c.ProxyProtocol }, oneOf("v1", "v2")).
		withSample("v2", "or v1").
		withComment(`Connections to nodes begin with the PROXY protocol's header, which names the client. Each client then has connections to nodes
for itself alone. Probes begin with one too, which names nobody.`),
	one("max_body", func(c *Cluster) *int64 { return &c.MaxBody }, parseSize).withDefault("0", "").
		withComment("Bytes of a request's body. 0 means what the node itself announces for Socket.IO, and no limit for others."),
	object("health", func(c *Cluster) **Health { return &c.Health }, healthFields).
		withSample("", "probes of each node; left out, none").
		withComment("With path the node must answer it with status, with handshake: true it must open an Engine.IO session; else it must accept a connection."),
	rate("pace.handshakes", func(c *Cluster) *float64 { return &c.Pace.Handshakes }).
		withDefault("0", "new sessions for each node, as 200/s or 12000/m; 0 for no limit"),
	one("pace.burst", func(c *Cluster) *int { return &c.Pace.Burst }, whole(0, 1_000_000)).
		withDefault("0", "of these at once; 0 means twice handshakes"),
	one("pace.slow_start", func(c *Cluster) *time.Duration { return &c.Pace.SlowStart }, between(0, longest)).
		withDefault("30s", "a new or healed node comes to its full weight in this time; 0s for at once"),
	pairs("release", (*reader).release, func(c *Cluster) []InForce { return c.Release.inForce() }, func(c *Cluster) any { return c.Release }).
		withSample("{version: v2, share: 10%}", "").
		withComment("Sends a share (10% or 0.1) of the new sessions to the nodes with a label, here version: v2. The others get the rest."),
	object("discover", func(c *Cluster) **Discover { return &c.Discover }, discoverFields).
		withSample("", "finds nodes, beside those that are listed; one of dns, srv and kubernetes"),
	object("auth.jwt", func(c *Cluster) **JWT { return &c.Auth.JWT }, jwtFields).
		withSample("", "lets in whoever brings a JSON Web Token; see docs/auth.md"),
	object("auth.forward", func(c *Cluster) **Forward { return &c.Auth.Forward }, forwardFields).
		withSample("", "instead of jwt: asks a server"),
	pairs("request_headers.set", (*reader).setHeader, func(c *Cluster) []InForce { return c.Headers.inForce() }, func(c *Cluster) any { return c.Headers.Set }).
		withSample("{X-Env: prod}", "replaces what the client sent; values may be file:/run/secrets/name, and are not shown by check"),
	many("request_headers.remove", func(c *Cluster) *[]string { return &c.Headers.Remove }, parseHeaderName).
		withSample("X-Debug", "names of headers that nodes do not get, as [X-Debug]"),
	pairs("static", (*reader).static, func(c *Cluster) []InForce { return staticInForce(c.Static) }, func(c *Cluster) any { return c.Static }).
		withSample("{/assets/: {dir: ./public, max_age: 1h}}", "").
		withComment("Files of a directory (a relative one is seen from the working directory), served below a prefix beside path; max_age is for caches, 0s by default."),
	many("origins", func(c *Cluster) *[]string { return &c.Origins }, parseOrigin).
		withSample("https://chat.example.com", `of pages that may use Socket.IO, as ["https://chat.example.com", "*.example.org"]; none means any`).
		withComment("A page of another origin gets 403, Engine.IO's code 4, for polls and WebSockets alike. Who is no page passes."),
	object("cors", func(c *Cluster) **CORS { return &c.CORS }, corsFields).
		withSample("", "CORS is seen to here, in place of the nodes"),
	many("guard.report", func(c *Cluster) *[]string { return &c.Guard.Report }, oneOf(guard.IDs()...)).
		withSample("attachments", "rules that only count what they would refuse, as [attachments, event-name]").
		withComment("Requests that would harm nodes of some versions are refused; sidway guard list tells which."),
	one("guard.max_attachments", func(c *Cluster) *int { return &c.Guard.MaxAttachments }, whole(1, 1_000_000)).
		withDefault(strconv.Itoa(guard.DefaultAttachments), "binary attachments of one packet, as Node's maxAttachments"),
	one("guard.frames", func(c *Cluster) *bool { return &c.Guard.Frames }, parseBool).
		withDefault("false", "packets in WebSockets are looked at too, which are then not compressed; sessions.move and heartbeat have it so"),
	object("sessions", func(c *Cluster) **Sessions { return &c.Sessions }, sessionsFields).
		withSample("", "live sessions go on at another node when theirs is drained or crashes; see docs/moving.md"),
	object("node_tls", func(c *Cluster) **NodeTLS { return &c.NodeTLS }, nodeTLSFields).
		withSample("", "TLS to nodes with https://").
		withComment("Files that have changed are read with the next reload."),
	one("maintenance", func(c *Cluster) *string { return &c.Maintenance }, parseMaintenance).
		withSample("./maintenance.html", "").
		withComment("A file, up to 1 MiB of HTML, served with 503 while there is no node to be had. Socket.IO's requests get Engine.IO's answers."),
}

var healthFields = []field[Health]{
	one("path", func(h *Health) *string { return &h.Path }, parseProbe).withSample("/healthz", "asked for by GET; it may have a query"),
	one("status", func(h *Health) *int { return &h.Status }, whole(200, 599)).withDefault("200", "that the path must be answered with"),
	one("interval", func(h *Health) *time.Duration { return &h.Interval }, between(100*time.Millisecond, longest)).
		withDefault("5s", "from one probe of a node to the next"),
	one("timeout", func(h *Health) *time.Duration { return &h.Timeout }, between(time.Millisecond, longest)).
		withDefault("2s", "for one probe; not more than interval"),
	one("rise", func(h *Health) *int { return &h.Rise }, whole(1, 100)).withDefault("2", "good probes in a row until a node counts as healthy again"),
	one("fall", func(h *Health) *int { return &h.Fall }, whole(1, 100)).withDefault("3", "failed probes in a row until it gets no new sessions"),
	one("handshake", func(h *Health) *bool { return &h.Handshake }, parseBool).withDefault("false", "instead of path: open an Engine.IO session and close it"),
}

var corsFields = []field[CORS]{
	many("origins", func(c *CORS) *[]string { return &c.Origins }, parseOrigin).isRequired().
		withSample("https://example.com", `of pages that may read answers, as ["https://example.com", "*.example.org"]; "*" for any`),
	one("credentials", func(c *CORS) *bool { return &c.Credentials }, parseBool).withDefault("false", "they may send cookies"),
	one("max_age", func(c *CORS) *time.Duration { return &c.MaxAge }, between(0, longestAge)).
		withDefault("0s", "a browser asks again after this; 0s for its own time, 5 s as a rule"),
}

var sessionsFields = []field[Sessions]{
	one("move", func(s *Sessions) *bool { return &s.Move }, parseBool).withDefault("false", "their nodes must have connectionStateRecovery and the adapter below"),
	rate("rebalance", func(s *Sessions) *float64 { return &s.Rebalance }).withShow(func(s *Sessions) string { return shownRate(s.Rebalance, "none") }).
		withDefault("0", "sessions that are moved off nodes with more than their share, as those have beside a new one, as 20/s; 0 for none"),
	one("patience", func(s *Sessions) *time.Duration { return &s.Patience }, between(time.Millisecond, longest)).
		withDefault("2s", "a move waits so long until nothing is under way that only the old node can end, such as an acknowledgement"),
	one("heartbeat", func(s *Sessions) *bool { return &s.Heartbeat }, parseBool).
		withDefault("false", "clients on WebSockets are pinged from here, so that a node which stands still for a while loses none"),
	one("payloads", func(s *Sessions) *bool { return &s.Payloads }, parseBool).withDefault("false", "sidway trace SID --packets shows what packets say, and not their names and sizes alone"),
	one("recovery", func(s *Sessions) *string { return &s.Recovery }, oneOf("streams")).
		withDefault("streams", "@socket.io/redis-streams-adapter, or sidway's Streams for Go"),
	one("redis", func(s *Sessions) *string { return &s.Redis }, parseRedis).asSecret().
		withSample("redis://127.0.0.1:6379/0", "that the adapters use; left out, affinity.redis").
		withShow(func(s *Sessions) string { return isSet(s.Redis) }),
	one("stream", func(s *Sessions) *string { return &s.Stream }, parsePrefix).withDefault("socket.io", "the adapters' option streamName"),
	one("prefix", func(s *Sessions) *string { return &s.Prefix }, parsePrefix).withDefault("sio:session:", "and sessionKeyPrefix"),
}

var discoverFields = []field[Discover]{
	one("dns", func(d *Discover) *string { return &d.DNS }, parseDNS).withSample("chat:3000", "host:port; each A and AAAA record is a node"),
	one("srv", func(d *Discover) *string { return &d.SRV }, parseSRV).withSample("_sio._tcp.chat", "SRV records, with their ports and weights"),
	object("kubernetes", func(d *Discover) **Kubernetes { return &d.Kubernetes }, kubernetesFields).withSample("", "the ready pods of a Service"),
	one("interval", func(d *Discover) *time.Duration { return &d.Interval }, orNothing(between(time.Second, longest))).
		withZero("by the TTL of the answers, 15s at most").withDefault("0s", "from one look-up to the next; 0 by the TTL of the answers, 15s at most"),
	one("tls", func(d *Discover) *bool { return &d.TLS }, parseBool).withDefault("false", "the nodes are spoken to by TLS, as those with https://"),
}

var nodeTLSFields = []field[NodeTLS]{
	one("ca", func(t *NodeTLS) *string { return &t.CA }, parseAuthorities).
		withSample("/etc/ssl/nodes.pem", "whose certificates are trusted; left out, those that the system trusts"),
	one("name", func(t *NodeTLS) *string { return &t.Name }, parseServerName).
		withSample("chat.internal", "that their certificates are for; left out, each node's host"),
	one("cert", func(t *NodeTLS) *string { return &t.Cert }, parseCert).
		withSample("/etc/ssl/a.pem", "what sidway itself shows to nodes that ask for a certificate, with key"),
	one("key", func(t *NodeTLS) *string { return &t.Key }, parseKey).withSample("/etc/ssl/a.key", "that belongs to it"),
	one("insecure", func(t *NodeTLS) *bool { return &t.Insecure }, parseBool).
		withDefault("false", "any certificate will do: whoever is between can read all"),
}

var kubernetesFields = []field[Kubernetes]{
	one("service", func(k *Kubernetes) *string { return &k.Service }, parseKubeName).isRequired().withSample("chat", "its name"),
	one("namespace", func(k *Kubernetes) *string { return &k.Namespace }, parseKubeName).withSample("default", "left out, the pod's own"),
	one("port", func(k *Kubernetes) *string { return &k.Port }, parseKubePort).withSample("http", "name or number; left out, the first"),
	one("api", func(k *Kubernetes) *string { return &k.API }, parseAPI).withSample("http://127.0.0.1:8001", "URL; left out, that of the cluster that sidway runs in"),
}

var staticFields = []field[Static]{
	one("dir", func(s *Static) *string { return &s.Dir }, parseDir).isRequired().withSample("./public", "a directory"),
	one("max_age", func(s *Static) *time.Duration { return &s.MaxAge }, between(0, longestAge)).withDefault("0s", "for caches"),
}

// nodesField is the nodes, which SIDWAY_NODES and --node set too.
var nodesField = field[Cluster]{about: about{key: "nodes"}, tree: func(r *reader, c *Cluster, path string, n ast.Node) { c.Nodes = r.nodesOf(path, n) }}

var nodeFields = []field[Node]{
	one("name", func(n *Node) *string { return &n.Name }, parseName).isRequired().
		withSample("n1", "bindings hold the name, so keep it when the address changes"),
	one("url", func(n *Node) *string { return &n.URL }, parseURL).isRequired().withSample("http://127.0.0.1:3001", "http://host:port, or https://host:port"),
	one("weight", func(n *Node) *int { return &n.Weight }, parseWeight).
		withDefault("1", "1 to 1000: sessions in proportion to the others"),
	pairs("labels", (*reader).label, func(n *Node) []InForce { return n.labels() }, func(n *Node) any { return n.Labels }).
		withSample("{version: v2}", "for release; names and values of your own, up to 63 letters, digits and ._-"),
}

func newCluster() (c Cluster) {
	fill(&c, clusterFields)
	return c
}

func newNode() (n Node) {
	fill(&n, nodeFields)
	return n
}
