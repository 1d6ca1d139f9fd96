// Package redisurl reads the URL of a Redis, as an operator writes it.
//
//	u, err := redisurl.Parse("rediss+sentinel://user:password@h1,h2:26380/mymaster/0?ca=/etc/redis.pem")
//
// It reads no file and dials nothing, so that a configuration can be checked by it; affinity.Open tells what the forms are.
package redisurl

import (
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// URL is what a URL says, with nothing escaped any more.
type URL struct {
	Topology         string   // "", "sentinel" or "cluster"
	Hosts            []string // host:port
	User, Password   string
	SentinelUser     string
	SentinelPassword string
	Master           string
	DB               int
	TLS              bool
	CA               string // file of the certificates to trust; empty for the system's
}

// Parse reads a URL. The error says what to mend and holds neither user nor password. net/url would refuse a list of hosts with
// ports, and its errors repeat the whole URL.
func Parse(raw string) (*URL, error) {
	scheme, rest, found := strings.Cut(raw, "://")
	base, topology, _ := strings.Cut(scheme, "+")
	if !found || base != "redis" && base != "rediss" || topology != "" && topology != "sentinel" && topology != "cluster" || strings.HasSuffix(scheme, "+") {
		return nil, errors.New("it must begin with redis://, redis+sentinel:// or redis+cluster:// (rediss for TLS)")
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	if strings.Contains(path, "@") || strings.Contains(query, "@") || strings.Contains(raw, "#") {
		return nil, errors.New("write / ? # @ in the user or password as %2F %3F %23 %40")
	}
	u := &URL{Topology: topology, TLS: base == "rediss"}
	for _, step := range []func() error{
		func() error { return u.setAuthority(authority) },
		func() error { return u.setPath(path) },
		func() error { return u.setQuery(query) },
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// WithPassword returns the URL raw with a password, which it must not have already.
func WithPassword(raw, password string) (string, error) {
	u, err := Parse(raw)
	switch {
	case err != nil:
		return raw, err
	case u.Password != "":
		return raw, errors.New("the URL has a password too; take one of the two out")
	}
	scheme, rest, _ := strings.Cut(raw, "://")
	authority, more, _ := strings.Cut(rest, "@")
	if authority, more = strings.TrimSuffix(authority, ":"), "@"+more; more == "@" { // there is no user
		authority, more = "", "@"+rest
	}
	password = strings.ReplaceAll(url.QueryEscape(password), "+", "%20")
	return scheme + "://" + authority + ":" + password + more, nil
}

func (u *URL) setAuthority(authority string) error {
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user, password, _ := strings.Cut(authority[:at], ":")
		var errU, errP error
		u.User, errU = url.PathUnescape(user)
		u.Password, errP = url.PathUnescape(password)
		if errU != nil || errP != nil {
			return errors.New("write % in the user or password as %25")
		}
		authority = authority[at+1:]
	}
	port := "6379"
	if u.Topology == "sentinel" {
		port = "26379"
	}
	for _, host := range strings.Split(authority, ",") {
		addr, err := address(host, port)
		if err != nil {
			return err
		}
		u.Hosts = append(u.Hosts, addr)
	}
	if u.Topology == "" && len(u.Hosts) > 1 {
		return errors.New("several hosts need redis+sentinel:// or redis+cluster://")
	}
	return nil
}

// address completes host with the port where it has none.
func address(host, port string) (string, error) {
	h, p, err := net.SplitHostPort(host)
	if err != nil {
		h, p = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), port
		if !strings.HasPrefix(host, "[") && strings.Contains(h, ":") {
			return "", errors.New("a host must be name, name:port, [IPv6] or [IPv6]:port")
		}
	}
	n, err := strconv.ParseUint(p, 10, 16)
	if err != nil || n == 0 {
		return "", errors.New("a port must be a number from 1 to 65535")
	}
	if h == "" || strings.ContainsAny(h, " []%/") {
		return "", errors.New("a host is missing or has characters that no host has")
	}
	return net.JoinHostPort(h, p), nil
}

func (u *URL) setPath(path string) error {
	path = strings.TrimSuffix(path, "/")
	switch u.Topology {
	case "cluster":
		if path != "" && path != "0" {
			return errors.New("a Redis Cluster has database 0 only: leave the path out")
		}
		return nil
	case "sentinel":
		master, db, _ := strings.Cut(path, "/")
		name, err := url.PathUnescape(master)
		if err != nil || name == "" {
			return errors.New("the master's name is missing: redis+sentinel://host1,host2/master-name/0")
		}
		u.Master, path = name, db
	}
	if path == "" {
		return nil
	}
	db, err := strconv.ParseUint(path, 10, 31)
	if err != nil {
		return errors.New("the database after the host must be a number, as in redis://host:6379/0")
	}
	u.DB = int(db)
	return nil
}

func (u *URL) setQuery(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("the options after ? are not well formed")
	}
	for name, v := range values {
		switch {
		case len(v) > 1:
			return errors.New("an option is given twice")
		case name == "ca" && !u.TLS:
			return errors.New("ca needs TLS: write rediss in place of redis")
		case name == "ca":
			u.CA = v[0]
		case name == "sentinel_username" && u.Topology == "sentinel":
			u.SentinelUser = v[0]
		case name == "sentinel_password" && u.Topology == "sentinel":
			u.SentinelPassword = v[0]
		default:
			return errors.New("an option is not known here: there are ca and, for Sentinel, sentinel_username and sentinel_password")
		}
	}
	return nil
}
