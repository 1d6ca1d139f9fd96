package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sidway/sidway/gateway/limits"
)

// field is one setting of a T: how it is called and how a text becomes its value. YAML, environment and flags share it.
type field[T any] struct {
	key   string // below T, with a dot for each section
	list  bool   // several texts are allowed; set appends
	reset func(*T)
	set   func(*T, string) error
	show  func(*T) string // the value, for people

	def     string // the default as a text; empty for none
	sample  string // a value to show where there is no default
	note    string // what it is, behind its value in the example file
	comment string // the same in lines above it, where a note is too short
}

func (f field[T]) withDefault(def, note string) field[T] {
	f.def, f.note = def, note
	return f
}

func (f field[T]) withSample(sample, note string) field[T] {
	f.sample, f.note = sample, note
	return f
}

func (f field[T]) withComment(text string) field[T] {
	f.comment = text
	return f
}

// one is a field with a single value.
func one[T, V any](key string, at func(*T) *V, parse func(string) (V, error)) field[T] {
	return field[T]{key: key, reset: func(*T) {}, show: func(t *T) string { return shown(*at(t)) }, set: func(t *T, text string) error {
		v, err := parse(text)
		if err == nil {
			*at(t) = v
		}
		return err
	}}
}

// many is a field with a list of values.
func many[T, V any](key string, at func(*T) *[]V, parse func(string) (V, error)) field[T] {
	show := func(t *T) string {
		var all []string
		for _, v := range *at(t) {
			all = append(all, shown(v))
		}
		return cmp.Or(strings.Join(all, ", "), "none")
	}
	return field[T]{key: key, list: true, reset: func(t *T) { *at(t) = nil }, show: show, set: func(t *T, text string) error {
		v, err := parse(text)
		if err == nil {
			*at(t) = append(*at(t), v)
		}
		return err
	}}
}

// shown is a value as a person writes it.
func shown(v any) string {
	if d, ok := v.(time.Duration); ok {
		return short(d)
	}
	return fmt.Sprint(v)
}

func indexField[T any](fields []field[T], key string) int {
	return slices.IndexFunc(fields, func(f field[T]) bool { return f.key == key })
}

// InForce is a setting outside clusters and its value.
type InForce struct{ Key, Value string }

// InForce returns all of them, in the order of the example file and without passwords.
func (c *Config) InForce() []InForce {
	var all []InForce
	for _, f := range settings {
		value := f.show(c)
		if f.key == "affinity.redis" {
			value = c.Affinity.String()
		}
		all = append(all, InForce{f.key, value})
	}
	return all
}

// Variable is an environment variable and the setting that it sets. It has a sample where it has no default.
type Variable struct{ Name, Key, Default, Sample string }

// Variables returns all of them, in the order of the example file.
func Variables() []Variable {
	var all []Variable
	for _, f := range settings {
		all = append(all, Variable{Name: variable(f.key), Key: f.key, Default: f.def, Sample: f.sample})
	}
	return append(all, Variable{
		Name: "SIDWAY_NODES", Key: "clusters[0].nodes", Sample: "n1=http://10.0.0.1:3001;5,n2=http://10.0.0.2:3001",
	})
}

// variable returns the name of a setting's environment variable.
func variable(key string) string {
	if key == "affinity.redis" {
		return "SIDWAY_REDIS"
	}
	return "SIDWAY_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// The longest that a limit may be: what is longer is a mistake in the unit.
const longest = time.Hour

// settings is every setting outside clusters, in the order of the example file. The file, the environment, the defaults,
// sidway help environment and sidway.example.yaml are made of it, so a new setting is a line here and its field in Config;
// go test ./gateway/config -run Example -update writes the example file.
var settings = []field[Config]{
	many("listen", func(c *Config) *[]string { return &c.Listen }, parseListen).withDefault(":8080", "").
		withComment("Where clients connect: host:port, or a list of them. No host means all addresses."),
	one("admin.listen", func(c *Config) *string { return &c.Admin.Listen }, parseAdmin).withDefault("127.0.0.1:9090", ""),
	many("admin.hosts", func(c *Config) *[]string { return &c.Admin.Hosts }, parseAdminHost).
		withSample("ops.example.com,*.svc.cluster.local", `more names to be asked by: [ops.example.com, "*.svc.cluster.local"]`),
	one("admin.pprof", func(c *Config) *bool { return &c.Admin.Pprof }, parseBool).
		withDefault("false", "/debug/pprof/, profiles of up to 60 s of the running process"),
	one("affinity.redis", func(c *Config) *string { return &c.Affinity.Redis }, parseRedis).withSample("redis://127.0.0.1:6379/0", "").
		withComment(`One Redis for all replicas. Left out: in memory, which is enough for a single replica.
  redis://:password@host:6379/0            one server; rediss:// with TLS
  redis+sentinel://h1,h2,h3/mymaster/0     Sentinel;   rediss+sentinel:// with TLS
  redis+cluster://h1,h2,h3                 Cluster;    rediss+cluster:// with TLS`),
	one("affinity.prefix", func(c *Config) *string { return &c.Affinity.Prefix }, parsePrefix).
		withDefault("sidway:", "what every key in Redis starts with; the cluster's name follows"),
	one("affinity.cache", func(c *Config) *int { return &c.Affinity.Cache }, whole(1, 1_000_000_000)).
		withDefault("1000000", "sessions remembered in memory, at most"),
	one("access_log", func(c *Config) *bool { return &c.AccessLog }, parseBool).withDefault("false", "").
		withComment(`One line in the log, of level info, for each request and for the end of each WebSocket. A request then has an id, which its
node gets as X-Request-ID; that of a trusted proxy is kept.`),
	one("log.level", func(c *Config) *string { return &c.Log.Level }, oneOf("debug", "info", "warn", "error")).
		withDefault("info", "debug, info, warn, error"),
	one("log.format", func(c *Config) *string { return &c.Log.Format }, oneOf("text", "json")).withDefault("text", "text, json"),
	many("trusted_proxies", proxiesOf, parsePrefixes).
		withSample("10.0.0.0/8,192.0.2.7,fd00::/8", "[10.0.0.0/8, 192.0.2.7, fd00::/8]").
		withComment(`Addresses and networks of the load balancers in front, whose X-Forwarded-* and Forwarded are believed. From all
others these headers are replaced. The client is the rightmost address in X-Forwarded-For (or Forwarded, where that is
missing) that is not one of these.`),
	one("limits.connections", func(c *Config) *int { return &c.Limits.Connections }, whole(0, 100_000_000)).
		withDefault("0", "from clients, in all; 0 means what the limit of file descriptors allows. At the limit idle ones give way"),
	limit("header_time", func(l *limits.Limits) *time.Duration { return &l.HeaderTime }).
		withDefault("5s", "for the head of a request, and for the first byte of a new connection"),
	limit("body_time", func(l *limits.Limits) *time.Duration { return &l.BodyTime }).withDefault("10s", "for its body, and then"),
	one("limits.body_rate", func(c *Config) *int64 { return &c.Limits.BodyRate }, parseSize).
		withDefault("1000", "bytes per second that a longer one must keep up; 0 for none"),
	limit("idle_time", func(l *limits.Limits) *time.Duration { return &l.IdleTime }).
		withDefault("75s", "a kept connection without a request is closed after this"),
	limit("write_time", func(l *limits.Limits) *time.Duration { return &l.WriteTime }).
		withDefault("30s", "and one that does not take what is sent to it, after this"),
	limit("handshake_time", func(l *limits.Limits) *time.Duration { return &l.HandshakeTime }).
		withDefault("2500ms", "a node that answers nothing at all for so long gets no new sessions for a while"),
	limit("queue_time", func(l *limits.Limits) *time.Duration { return &l.QueueTime }).
		withDefault("5s", "a handshake waits this long for a node, a request for its session's binding"),
	one("limits.queue", func(c *Config) *int { return &c.Limits.Queue }, whole(0, 1_000_000)).
		withDefault("1024", "handshakes that may wait so at a time"),
	one("shutdown.notice", func(c *Config) *time.Duration { return &c.Shutdown.Notice }, between(0, longest)).
		withDefault("8s", "on SIGTERM /readyz says 503 for this long before the listeners close").
		withComment(`Longer than balancers take to notice: notice > interval of their checks x failures until a server counts as down. HAProxy's
defaults are 2s x 3, and 8s is enough for them; a Kubernetes Service follows its readinessProbe, 10s x 3 by default, sooner when a
pod is deleted; docs/behind.md has more. Whoever stops sidway has to wait for notice + deadline before it kills. SIGINT (Ctrl-C) stops without notice.`),
	one("shutdown.deadline", func(c *Config) *time.Duration { return &c.Shutdown.Deadline }, between(0, longest)).
		withDefault("30s", "then requests and WebSockets have this long to end"),
	one("shutdown.waves", func(c *Config) *int { return &c.Shutdown.Waves }, whole(1, 1000)).
		withDefault("10", "WebSockets are closed in so many waves, spread over half of that"),
	one("runtime.busy_loops", func(c *Config) *bool { return &c.Runtime.BusyLoops }, parseBool).
		withDefault("true", "GOMAXPROCS is twice the processors, so that event loops need not give theirs back for each short wait"),
}

func limit(key string, at func(*limits.Limits) *time.Duration) field[Config] {
	return one("limits."+key, func(c *Config) *time.Duration { return at(&c.Limits) }, between(time.Millisecond, longest))
}

// clusterFields is every setting of a cluster but its nodes.
var clusterFields = []field[Cluster]{
	one("name", func(c *Cluster) *string { return &c.Name }, parseName),
	many("host", func(c *Cluster) *[]string { return &c.Host }, parseHost),
	one("path", func(c *Cluster) *string { return &c.Path }, parsePath),
	one("balance", func(c *Cluster) *Balance { return &c.Balance }, oneOf(LeastSessions, RoundRobin)),
	one("keep_alive", func(c *Cluster) *bool { return &c.DisableKeepAlive }, not(parseBool)),
	one("max_body", func(c *Cluster) *int64 { return &c.MaxBody }, parseSize),
}

var nodeFields = []field[Node]{
	one("name", func(n *Node) *string { return &n.Name }, parseName),
	one("url", func(n *Node) *string { return &n.URL }, parseURL),
	one("weight", func(n *Node) *int { return &n.Weight }, parseWeight),
}

func newCluster() Cluster {
	return Cluster{Path: "/socket.io/", Balance: LeastSessions}
}

func newNode() Node { return Node{Weight: 1} }
