package affinity

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/sidway/sidway/affinity/redisurl"
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
	p, err := newPlace(url)
	if err != nil {
		return nil, fmt.Errorf("affinity: redis URL: %w", err)
	}
	switch p.Topology {
	case "sentinel":
		c := redis.NewFailoverClient(p.failover())
		c.AddHook(masterHook(p.Master))
		return c, nil
	case "cluster":
		return redis.NewClusterClient(p.cluster()), nil
	}
	return redis.NewClient(p.single()), nil
}

// place is what a URL says, and the TLS that it asks for.
type place struct {
	*redisurl.URL
	tls *tls.Config
}

// newPlace reads a URL and the file of certificates that it names.
func newPlace(url string) (*place, error) {
	u, err := redisurl.Parse(url)
	if err != nil {
		return nil, err
	}
	p := &place{URL: u}
	if u.TLS {
		p.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if u.CA != "" {
		p.tls.RootCAs, err = certificates(u.CA)
	}
	return p, err
}

func (p *place) single() *redis.Options {
	return &redis.Options{
		Addr:     p.Hosts[0],
		Username: p.User, Password: p.Password, DB: p.DB, TLSConfig: p.tls, Dialer: newDialer(p.tls),
		Protocol: 2, DisableIdentity: true, MaintNotificationsConfig: noNotifications(),
		MaxRetries: -1, DialerRetries: 1, DialTimeout: dialTimeout,
		ReadTimeout: opTimeout, WriteTimeout: opTimeout, ContextTimeoutEnabled: true,
		PoolSize: poolSize, PipelinePoolSize: -1, PoolTimeout: poolTimeout, ConnMaxIdleTime: connIdleTime,
	}
}

func (p *place) failover() *redis.FailoverOptions {
	return &redis.FailoverOptions{
		MasterName: p.Master, SentinelAddrs: p.Hosts,
		SentinelUsername: p.SentinelUser, SentinelPassword: p.SentinelPassword,
		Username: p.User, Password: p.Password, DB: p.DB, TLSConfig: p.tls, Dialer: newDialer(p.tls),
		Protocol: 2, DisableIdentity: true,
		MaxRetries: -1, DialerRetries: 1, DialTimeout: dialTimeout,
		ReadTimeout: opTimeout, WriteTimeout: opTimeout, ContextTimeoutEnabled: true,
		PoolSize: poolSize, PipelinePoolSize: -1, PoolTimeout: poolTimeout, ConnMaxIdleTime: connIdleTime,
	}
}

func (p *place) cluster() *redis.ClusterOptions {
	return &redis.ClusterOptions{
		Addrs:    p.Hosts,
		Username: p.User, Password: p.Password, TLSConfig: p.tls, Dialer: newDialer(p.tls),
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
