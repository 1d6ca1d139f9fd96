package config

import (
	"slices"
	"strings"
)

// The settings by which a running replica is found, for LoadAdmin.
const (
	AdminListen = "admin.listen"
	AdminToken  = "admin.token"
)

// LoadAdmin reads these settings alone, AdminListen or AdminToken or both, for somebody who asks a replica that runs already. Files that
// other settings name are not opened, and whatever else is wrong is not told: the replica serves on with what it had before.
func LoadAdmin(file string, environ []string, f Flags, keys ...string) (Admin, error) {
	l := newLoader(environ)
	l.fields = slices.DeleteFunc(slices.Clone(settings), func(f field[Config]) bool { return !slices.Contains(keys, f.key) })
	if err := l.read(file, f); err != nil {
		return Admin{}, err
	}
	l.problems = slices.DeleteFunc(l.problems, func(p Problem) bool {
		return p.Key != "admin" && !slices.Contains(keys, p.Key) && !(p.Key == "" && l.broken)
	})
	return l.cfg.Admin, l.err()
}

// LoadClusters reads the clusters alone, for somebody who asks for their names and what is set for the guard. Whatever else is wrong is not
// told, and may be what a certificate lacks.
func LoadClusters(file string, environ []string) ([]Cluster, error) {
	l := newLoader(environ)
	l.clusters = true
	if err := l.read(file, nil); err != nil {
		return nil, err
	}
	l.check()
	l.problems = slices.DeleteFunc(l.problems, func(p Problem) bool {
		ours := strings.HasPrefix(p.Key, "clusters") && (strings.HasSuffix(p.Key, ".name") || strings.Contains(p.Key, ".guard"))
		return !ours && !(p.Key == "" && l.broken)
	})
	return l.cfg.Clusters, l.err()
}
