package affinity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	// Connections to each Redis server. One carries thousands of our small operations a second.
	poolSize = 32
	// A dial may outlast the operation that asked for it: the connection then serves the next one, so that even a
	// Redis whose TLS greeting takes longer than opTimeout can be reached.
	dialTimeout = time.Second
	// Routers forget silent connections after five minutes or so without telling us.
	connIdleTime = 4 * time.Minute
	// A Redis Cluster sends us on when a slot has moved; more hops than this are a cluster in trouble.
	clusterRedirects = 2
)

// Open returns a client for the Redis that url names, set up for this package: each operation obeys its context and is
// tried once. It does not connect yet. The caller closes the client. The forms are
//
//	redis://user:password@host:6379/0
//	redis+sentinel://user:password@host1:26379,host2:26379/master-name/0
//	redis+cluster://user:password@host1:6379,host2:6379
//
// and each with rediss in place of redis for TLS. User, password, ports and database may be left out; what is special
// in a URL is percent-escaped in them. Options follow after "?": ca=file for the PEM certificates to trust in place of
// the system's, sentinel_username= and sentinel_password= for Sentinels that ask for a password of their own.
// An error says what to mend and never holds a password.
func Open(url string) (redis.UniversalClient, error) {
	p, err := parse(url)
	if err != nil {
		return nil, fmt.Errorf("affinity: redis URL: %w", err)
	}
	switch p.topology {
	case "sentinel":
		return redis.NewFailoverClient(p.failover()), nil
	case "cluster":
		return redis.NewClusterClient(p.cluster()), nil
	}
	return redis.NewClient(p.single()), nil
}

// place is what a URL says.
type place struct {
	topology         string // "", "sentinel" or "cluster"
	hosts            []string
	user, password   string
	sentinelUser     string
	sentinelPassword string
	master           string
	db               int
	tls              *tls.Config
}

func (p *place) single() *redis.Options {
	return &redis.Options{
		Addr:     p.hosts[0],
		Username: p.user, Password: p.password, DB: p.db, TLSConfig: p.tls, Dialer: newDialer(p.tls),
		Protocol: 2, DisableIdentity: true, MaintNotificationsConfig: noNotifications(),
		MaxRetries: -1, DialerRetries: 1, DialTimeout: dialTimeout,
		ReadTimeout: opTimeout, WriteTimeout: opTimeout, ContextTimeoutEnabled: true,
		PoolSize: poolSize, PipelinePoolSize: -1, PoolTimeout: poolTimeout, ConnMaxIdleTime: connIdleTime,
	}
}

func (p *place) failover() *redis.FailoverOptions {
	return &redis.FailoverOptions{
		MasterName: p.master, SentinelAddrs: p.hosts,
		SentinelUsername: p.sentinelUser, SentinelPassword: p.sentinelPassword,
		Username: p.user, Password: p.password, DB: p.db, TLSConfig: p.tls, Dialer: newDialer(p.tls),
		Protocol: 2, DisableIdentity: true,
		MaxRetries: -1, DialerRetries: 1, DialTimeout: dialTimeout,
		ReadTimeout: opTimeout, WriteTimeout: opTimeout, ContextTimeoutEnabled: true,
		PoolSize: poolSize, PipelinePoolSize: -1, PoolTimeout: poolTimeout, ConnMaxIdleTime: connIdleTime,
	}
}

func (p *place) cluster() *redis.ClusterOptions {
	return &redis.ClusterOptions{
		Addrs:    p.hosts,
		Username: p.user, Password: p.password, TLSConfig: p.tls, Dialer: newDialer(p.tls),
		Protocol: 2, DisableIdentity: true, MaintNotificationsConfig: noNotifications(),
		MaxRetries: -1, DialerRetries: 1, DialTimeout: dialTimeout,
		MaxRedirects: clusterRedirects, MinRetryBackoff: time.Millisecond, MaxRetryBackoff: opTimeout / 10,
		ReadTimeout: opTimeout, WriteTimeout: opTimeout, ContextTimeoutEnabled: true,
		PoolSize: poolSize, PipelinePoolSize: -1, PoolTimeout: poolTimeout, ConnMaxIdleTime: connIdleTime,
	}
}

// noNotifications spares each new connection a command that only managed Redis services understand.
func noNotifications() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// parse reads the URL by hand: net/url refuses a list of hosts with ports, and its errors repeat the whole URL.
func parse(raw string) (*place, error) {
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
	p := &place{topology: topology}
	for _, step := range []func() error{
		func() error { return p.setAuthority(authority) },
		func() error { return p.setPath(path) },
		func() error { return p.setQuery(query, base == "rediss") },
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *place) setAuthority(authority string) error {
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user, password, _ := strings.Cut(authority[:at], ":")
		var errU, errP error
		p.user, errU = url.PathUnescape(user)
		p.password, errP = url.PathUnescape(password)
		if errU != nil || errP != nil {
			return errors.New("write % in the user or password as %25")
		}
		authority = authority[at+1:]
	}
	port := "6379"
	if p.topology == "sentinel" {
		port = "26379"
	}
	for _, host := range strings.Split(authority, ",") {
		addr, err := address(host, port)
		if err != nil {
			return err
		}
		p.hosts = append(p.hosts, addr)
	}
	if p.topology == "" && len(p.hosts) > 1 {
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

func (p *place) setPath(path string) error {
	path = strings.TrimSuffix(path, "/")
	switch p.topology {
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
		p.master, path = name, db
	}
	if path == "" {
		return nil
	}
	db, err := strconv.ParseUint(path, 10, 31)
	if err != nil {
		return errors.New("the database after the host must be a number, as in redis://host:6379/0")
	}
	p.db = int(db)
	return nil
}

func (p *place) setQuery(query string, secure bool) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("the options after ? are not well formed")
	}
	if secure {
		p.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	for name, v := range values {
		switch {
		case len(v) > 1:
			return errors.New("an option is given twice")
		case name == "ca" && !secure:
			return errors.New("ca needs TLS: write rediss in place of redis")
		case name == "ca":
			if p.tls.RootCAs, err = certificates(v[0]); err != nil {
				return err
			}
		case name == "sentinel_username" && p.topology == "sentinel":
			p.sentinelUser = v[0]
		case name == "sentinel_password" && p.topology == "sentinel":
			p.sentinelPassword = v[0]
		default:
			return errors.New("an option is not known here: there are ca and, for Sentinel, sentinel_username and sentinel_password")
		}
	}
	return nil
}

func certificates(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca: %s holds no PEM certificate", file)
	}
	return pool, nil
}
