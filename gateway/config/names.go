package config

import (
	"slices"
	"strings"
)

// InForce is a setting and its value, for people.
type InForce struct{ Key, Value string }

// InForce returns all settings outside clusters, in the order of the example file and without passwords.
func (c *Config) InForce() []InForce {
	var all []InForce
	for _, f := range settings {
		value := f.show(c)
		switch {
		case f.key == "affinity.redis":
			value = c.Affinity.String()
		case f.zero != "" && value == "0":
			value = "0: " + f.zero
		}
		all = append(all, InForce{f.key, value})
	}
	return all
}

// InForce returns the settings of a cluster that differ from their defaults, but for what it is called, where it is served and
// how it balances. No value of a header is among them.
func (c *Cluster) InForce() []InForce {
	var rest []field[Cluster]
	for _, f := range clusterFields {
		if !slices.Contains([]string{"name", "host", "path", "balance"}, f.key) {
			rest = append(rest, f)
		}
	}
	return inForce(c, "", rest, false)
}

// inForce returns the settings of a T, all of them or those that differ from their defaults.
func inForce[T any](t *T, prefix string, fields []field[T], all bool) (list []InForce) {
	usual := new(T)
	fill(usual, fields)
	for _, f := range fields {
		key := prefix + f.key
		switch {
		case f.lines != nil:
			list = append(list, f.lines(t, key)...)
		case f.show(t) != "" && (all || f.show(t) != f.show(usual)):
			list = append(list, InForce{key, f.show(t)})
		}
	}
	return list
}

// Setting is how one setting is called in the file, in the environment and on the command line.
type Setting struct {
	Key, Variable, Flag string
	List                bool   // the flag may be given several times
	Switch              bool   // the flag needs no value
	Default, Sample     string // one of them is empty
	Value, Help         string // what the help of sidway serve says, lines; empty if it leaves the flag out
}

// Settings returns all that the environment and the command line can set: each setting outside clusters, in the order of the
// example file, and the nodes of the only cluster.
func Settings() []Setting {
	var all []Setting
	for _, f := range settings {
		all = append(all, Setting{
			Key: f.key, Variable: variable(f.key), Flag: f.flag(), List: f.list, Switch: f.def == "false" || f.def == "true",
			Default: f.def, Sample: f.sample, Value: f.value, Help: f.help,
		})
	}
	return append(all, Setting{
		Key: "clusters[0].nodes", Variable: "SIDWAY_NODES", Flag: "node", List: true, Sample: "http://127.0.0.1:3001,n2=http://10.0.0.2:3001;5",
		Value: "URL", Help: "a Socket.IO node, without a file: http://host:port, or name=http://host:port;weight=5\ngive it once for each node",
	})
}

// variable returns the name of a setting's environment variable.
func variable(key string) string {
	if key == "affinity.redis" {
		return "SIDWAY_REDIS"
	}
	return "SIDWAY_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// flag returns the name of a setting's flag.
func (f field[T]) flag() string {
	if f.short != "" {
		return f.short
	}
	return strings.ReplaceAll(f.key, "_", "-")
}
