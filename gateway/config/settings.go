package config

import (
	"slices"
	"strings"
	"time"
)

// field is one setting of a T: how it is called and how a text becomes its value. YAML, environment and flags share it.
type field[T any] struct {
	key   string // below T, with a dot for each section
	list  bool   // several texts are allowed; set appends
	reset func(*T)
	set   func(*T, string) error
}

// one is a field with a single value.
func one[T, V any](key string, at func(*T) *V, parse func(string) (V, error)) field[T] {
	return field[T]{key: key, reset: func(*T) {}, set: func(t *T, text string) error {
		v, err := parse(text)
		if err == nil {
			*at(t) = v
		}
		return err
	}}
}

// many is a field with a list of values.
func many[T, V any](key string, at func(*T) *[]V, parse func(string) (V, error)) field[T] {
	return field[T]{key: key, list: true, reset: func(t *T) { *at(t) = nil }, set: func(t *T, text string) error {
		v, err := parse(text)
		if err == nil {
			*at(t) = append(*at(t), v)
		}
		return err
	}}
}

func indexField[T any](fields []field[T], key string) int {
	return slices.IndexFunc(fields, func(f field[T]) bool { return f.key == key })
}

// Variable is an environment variable and the key of the setting that it sets.
type Variable struct{ Name, Key string }

// Variables returns all of them, in the order of the example file.
func Variables() []Variable {
	var all []Variable
	for _, f := range settings {
		all = append(all, Variable{Name: variable(f.key), Key: f.key})
	}
	return append(all, Variable{Name: "SIDWAY_NODES", Key: "clusters[0].nodes"})
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

// settings is every setting outside clusters. A key here, a line in the package's table and one in the example file
// belong together; tests compare the three.
var settings = []field[Config]{
	many("listen", func(c *Config) *[]string { return &c.Listen }, parseListen),
	one("admin.listen", func(c *Config) *string { return &c.Admin.Listen }, parseAdmin),
	many("admin.hosts", func(c *Config) *[]string { return &c.Admin.Hosts }, parseAdminHost),
	one("admin.pprof", func(c *Config) *bool { return &c.Admin.Pprof }, parseBool),
	one("affinity.redis", func(c *Config) *string { return &c.Affinity.Redis }, parseRedis),
	one("affinity.prefix", func(c *Config) *string { return &c.Affinity.Prefix }, parsePrefix),
	one("affinity.cache", func(c *Config) *int { return &c.Affinity.Cache }, whole(1, 1_000_000_000)),
	one("access_log", func(c *Config) *bool { return &c.AccessLog }, parseBool),
	one("log.level", func(c *Config) *string { return &c.Log.Level }, oneOf("debug", "info", "warn", "error")),
	one("log.format", func(c *Config) *string { return &c.Log.Format }, oneOf("text", "json")),
	many("trusted_proxies", proxiesOf, parsePrefixes),
	one("limits.connections", func(c *Config) *int { return &c.Limits.Connections }, whole(0, 100_000_000)),
	limit("header_time", func(l *Limits) *time.Duration { return &l.HeaderTime }),
	limit("body_time", func(l *Limits) *time.Duration { return &l.BodyTime }),
	one("limits.body_rate", func(c *Config) *int64 { return &c.Limits.BodyRate }, parseSize),
	limit("idle_time", func(l *Limits) *time.Duration { return &l.IdleTime }),
	limit("write_time", func(l *Limits) *time.Duration { return &l.WriteTime }),
	limit("handshake_time", func(l *Limits) *time.Duration { return &l.HandshakeTime }),
	limit("queue_time", func(l *Limits) *time.Duration { return &l.QueueTime }),
	one("limits.queue", func(c *Config) *int { return &c.Limits.Queue }, whole(0, 1_000_000)),
	one("shutdown.notice", func(c *Config) *time.Duration { return &c.Shutdown.Notice }, between(0, longest)),
	one("shutdown.deadline", func(c *Config) *time.Duration { return &c.Shutdown.Deadline }, between(0, longest)),
	one("shutdown.waves", func(c *Config) *int { return &c.Shutdown.Waves }, whole(1, 1000)),
}

func limit(key string, at func(*Limits) *time.Duration) field[Config] {
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
