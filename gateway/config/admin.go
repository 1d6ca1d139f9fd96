package config

import "slices"

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
