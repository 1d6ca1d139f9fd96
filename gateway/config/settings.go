package config

import (
	"time"

	"github.com/sidway/sidway/gateway/limits"
)

// The longest that a limit may be: what is longer is a mistake in the unit.
const longest = time.Hour

// settings is every setting outside clusters, in the order of the example file. The file, the environment, the flags, the defaults,
// the help, sidway.example.yaml and docs/configuration.md are made of it, so a new setting is a line here and its field in Config;
// go test ./gateway/config -update writes both files.
var settings = []field[Config]{
	many("listen", func(c *Config) *[]string { return &c.Listen }, parseListen).withDefault(":8080", "").
		withComment("Where clients connect: host:port, or a list of them. No host means all addresses.").
		withHelp("", "ADDRESS", "where clients connect, more than once if need be"),
	one("admin.listen", func(c *Config) *string { return &c.Admin.Listen }, parseAdmin).withDefault("127.0.0.1:9090", "host:port, or off").
		withHelp("admin", "ADDRESS", "/healthz, /readyz and /metrics; off for none"),
	many("admin.hosts", func(c *Config) *[]string { return &c.Admin.Hosts }, parseAdminHost).
		withSample("ops.example.com,*.svc.cluster.local", `more names to be asked by: [ops.example.com, "*.svc.cluster.local"]`),
	one("admin.pprof", func(c *Config) *bool { return &c.Admin.Pprof }, parseBool).
		withDefault("false", "/debug/pprof/, profiles of up to 60 s of the running process"),
	one("affinity.redis", func(c *Config) *string { return &c.Affinity.Redis }, parseRedis).withSample("redis://127.0.0.1:6379/0", "").
		withComment(`One Redis for all replicas. Left out: in memory, which is enough for a single replica.
  redis://:password@host:6379/0            one server; rediss:// with TLS
  redis+sentinel://h1,h2,h3/mymaster/0     Sentinel;   rediss+sentinel:// with TLS
  redis+cluster://h1,h2,h3                 Cluster;    rediss+cluster:// with TLS`).
		withHelp("redis", "URL", `keep in Redis which node has which session, so that several replicas share it:
redis://:password@host:6379/0, redis+sentinel://…, redis+cluster://…, rediss for TLS
left out: in memory, for a single replica`),
	one("affinity.prefix", func(c *Config) *string { return &c.Affinity.Prefix }, parsePrefix).
		withDefault("sidway:", "what every key in Redis starts with; the cluster's name follows"),
	one("affinity.cache", func(c *Config) *int { return &c.Affinity.Cache }, whole(1, 1_000_000_000)).
		withDefault("1000000", "sessions remembered in memory, at most"),
	one("access_log", func(c *Config) *bool { return &c.AccessLog }, parseBool).withDefault("false", "").
		withComment(`One line in the log, of level info, for each request and for the end of each WebSocket. A request then has an id, which its
node gets as X-Request-ID; that of a trusted proxy is kept.`).
		withHelp("", "", "write one line for each request"),
	one("log.level", func(c *Config) *string { return &c.Log.Level }, oneOf("debug", "info", "warn", "error")).
		withDefault("info", "debug, info, warn, error"),
	one("log.format", func(c *Config) *string { return &c.Log.Format }, oneOf("text", "json")).withDefault("text", "text, json"),
	many("trusted_proxies", proxiesOf, parsePrefixes).
		withSample("10.0.0.0/8,192.0.2.7,fd00::/8", "[10.0.0.0/8, 192.0.2.7, fd00::/8]").
		withComment(`Addresses and networks of the load balancers in front, whose X-Forwarded-* and Forwarded are believed. From all
others these headers are replaced. The client is the rightmost address in X-Forwarded-For (or Forwarded, where that is
missing) that is not one of these.`),
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
		withDefault("1024", "handshakes that may wait so long at a time"),
	one("limits.unknown_sids", func(c *Config) *int { return &c.Limits.UnknownSIDs }, whole(0, 1_000_000)).
		withDefault("4000", "unknown sids looked up per second, a quarter of them for one client address (an IPv6 /64); 0 for no limit"),
	one("shutdown.notice", func(c *Config) *time.Duration { return &c.Shutdown.Notice }, between(0, longest)).
		withDefault("8s", "on SIGTERM /readyz says 503 for this long before the listeners close").
		withComment(`Longer than balancers take to notice: notice > interval of their checks x failures until a server counts as down. HAProxy's
defaults are 2s x 3, and 8s is enough for them; a Kubernetes Service follows its readinessProbe, 10s x 3 by default, sooner when a
pod is deleted; docs/behind.md has more. Whoever stops sidway has to wait for notice + deadline before it kills. SIGINT (Ctrl-C) stops without notice.`),
	one("shutdown.deadline", func(c *Config) *time.Duration { return &c.Shutdown.Deadline }, between(0, longest)).
		withDefault("30s", "requests and WebSockets then have this long to end"),
	one("shutdown.waves", func(c *Config) *int { return &c.Shutdown.Waves }, whole(1, 1000)).
		withDefault("10", "WebSockets are closed in so many waves, spread over half of the deadline"),
	one("runtime.busy_loops", func(c *Config) *bool { return &c.Runtime.BusyLoops }, parseBool).
		withDefault("true", "GOMAXPROCS is twice the processors, and event loops do not give theirs back while they wait for a moment"),
}

func limit(key string, at func(*limits.Limits) *time.Duration) field[Config] {
	return one("limits."+key, func(c *Config) *time.Duration { return at(&c.Limits) }, between(time.Millisecond, longest))
}

// clusterFields is every setting of a cluster but its nodes.
var clusterFields = []field[Cluster]{
	one("name", func(c *Cluster) *string { return &c.Name }, parseName).isRequired().
		withSample("chat", "part of the keys in Redis, so keep it"),
	many("host", func(c *Cluster) *[]string { return &c.Host }, parseHost).
		withSample("chat.example.com", `one, or a list: [chat.example.com, "*.example.com"]; none means any host`),
	one("path", func(c *Cluster) *string { return &c.Path }, parsePath).withDefault("/socket.io/", "where the nodes serve Socket.IO"),
	one("balance", func(c *Cluster) *Balance { return &c.Balance }, oneOf(LeastSessions, RoundRobin)).
		withDefault(string(LeastSessions), "or round_robin; both go by the nodes' weights"),
	one("keep_alive", func(c *Cluster) *bool { return &c.DisableKeepAlive }, not(parseBool)).withDefault("true", "").
		withComment(`False for "nodes" that hand each connection to one of several processes, as cluster workers behind @socket.io/sticky do.`),
	one("max_body", func(c *Cluster) *int64 { return &c.MaxBody }, parseSize).withDefault("0", "").
		withComment("Bytes of a request's body. 0 means what the node itself announces for Socket.IO, and no limit for others."),
}

var nodeFields = []field[Node]{
	one("name", func(n *Node) *string { return &n.Name }, parseName).isRequired().
		withSample("n1", "bindings hold the name, so keep it when the address changes"),
	one("url", func(n *Node) *string { return &n.URL }, parseURL).isRequired().withSample("http://127.0.0.1:3001", "http://host:port"),
	one("weight", func(n *Node) *int { return &n.Weight }, parseWeight).
		withDefault("1", "1 to 1000: sessions in proportion to the others"),
}

func newCluster() (c Cluster) {
	fill(&c, clusterFields)
	return c
}

func newNode() (n Node) {
	fill(&n, nodeFields)
	return n
}
