package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

const (
	// mostNamed is how many nodes of a cluster are named that came, went or changed; of more there are numbers.
	mostNamed = 6
	// longestChanges bounds Changes, in bytes.
	longestChanges = 500
)

// Changes tells people which settings differ, by their keys alone: clusters[chat].nodes +n3 -n1, limits.queue. Of what comes or goes
// it has the name behind + or -, of what is another one behind ~. It is bounded.
func Changes(before, now *Config) string {
	all := changes(before, now, "", settings)
	name := func(c Cluster) string { return c.Name }
	if marks := differences(before.Clusters, now.Clusters, name, func(Cluster, Cluster) bool { return true }); marks != "" {
		all = append(all, "clusters"+marks)
	}
	for i := range now.Clusters {
		c := &now.Clusters[i]
		j := slices.IndexFunc(before.Clusters, func(b Cluster) bool { return b.Name == c.Name })
		if j < 0 {
			continue
		}
		key := "clusters[" + c.Name + "]."
		all = append(all, changes(&before.Clusters[j], c, key, clusterFields)...)
		same := func(a, b Node) bool { return reflect.DeepEqual(a, b) }
		if marks := differences(before.Clusters[j].Nodes, c.Nodes, func(n Node) string { return n.Name }, same); marks != "" {
			all = append(all, key+"nodes"+marks)
		}
	}
	if len(all) == 0 && !reflect.DeepEqual(before, now) {
		return "the order of clusters or nodes"
	}
	return bounded(all)
}

// changes returns the keys of those fields that differ.
func changes[T any](before, now *T, prefix string, fields []field[T]) (keys []string) {
	for _, f := range fields {
		keys = append(keys, f.changes(before, now, prefix+f.key)...)
	}
	return keys
}

// changesOf is a field's changes where nothing below it has a key of its own.
func changesOf[T any](value func(*T) any) func(before, now *T, key string) []string {
	return func(before, now *T, key string) []string {
		if reflect.DeepEqual(value(before), value(now)) {
			return nil
		}
		return []string{key}
	}
}

// differences are what has another name in two lists, or has not stayed the same.
func differences[V any](before, now []V, name func(V) string, same func(a, b V) bool) string {
	old, signs := map[string]V{}, map[string]byte{}
	for _, v := range before {
		old[name(v)], signs[name(v)] = v, '-'
	}
	for _, v := range now {
		was, known := old[name(v)]
		switch {
		case !known:
			signs[name(v)] = '+'
		case same(was, v):
			delete(signs, name(v))
		default:
			signs[name(v)] = '~'
		}
	}
	var all strings.Builder
	for _, sign := range []byte("+-~") {
		var names []string
		for _, n := range slices.Sorted(maps.Keys(signs)) {
			if signs[n] == sign {
				names = append(names, fmt.Sprintf(" %c%s", sign, n))
			}
		}
		if len(signs) > mostNamed && len(names) > 0 {
			names = []string{fmt.Sprintf(" %c%d", sign, len(names))}
		}
		all.WriteString(strings.Join(names, ""))
	}
	return all.String()
}

// bounded joins as many as there is room for, and says how many there are beyond.
func bounded(all []string) string {
	text := strings.Join(all, ", ")
	if len(text) <= longestChanges {
		return text
	}
	n := 0
	for room := longestChanges - 20; n < len(all) && len(all[n])+2 <= room; n++ {
		room -= len(all[n]) + 2
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:n], ", "), len(all)-n)
}
