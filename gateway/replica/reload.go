package replica

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/config"
)

// redisPatience bounds the wait for the first answer of a Redis that a reload names.
const redisPatience = 3 * time.Second

// redisGrace is how long an operation that a request has begun on a Redis may take when another one takes its place.
const redisGrace = 200 * time.Millisecond

// Reload reads the configuration again, by Load, and applies it. A bad one is refused whole: the replica serves on as it did, and the
// error, which the log and sidway_reloads_total tell too, says what to mend. One that says what holds already changes nothing. by
// is who asked for it. It may be called concurrently.
func (r *Replica) Reload(by string) error {
	r.reloading.Lock()
	defer r.reloading.Unlock()
	r.tellReloading()
	before, text := r.cfg.Load(), ""
	cfg, err := r.Load()
	changed := false
	if err == nil {
		changed, err = r.apply(cfg)
	}
	outcome := "unchanged"
	switch {
	case err != nil:
		outcome = "refused"
		r.log.Error("the configuration was not reloaded, what held before goes on", "by", by, "error", err)
	case changed:
		outcome = "applied"
		text = config.Changes(before, cfg)
		r.log.Info("configuration reloaded", "by", by, "changed", text)
	default:
		r.log.Info("configuration read again, nothing has changed", "by", by)
	}
	r.reloads.WithLabelValues(outcome).Inc()
	if err == nil {
		r.refused.Store(nil)
		r.good.Store(time.Now().UnixMilli())
	} else {
		text = err.Error()
		r.refused.Store(&text)
	}
	r.event("reload", "", "", strings.TrimSuffix(outcome+", by "+by+": "+text, ": "))
	r.tellServing("reload " + outcome)
	return err
}

// apply has the replica follow cfg, and reports whether that changes anything. It needs reloading.
func (r *Replica) apply(cfg *config.Config) (changed bool, err error) {
	old := r.cfg.Load()
	switch {
	case reflect.DeepEqual(old, cfg):
		return false, nil
	case old.Admin.Listen != cfg.Admin.Listen:
		return false, errors.New("admin.listen changes only with a restart")
	case r.stopping.Load():
		return false, errors.New("the replica is stopping")
	}
	listen, err := r.nextListeners(cfg.Listen)
	if err != nil {
		return false, err
	}
	before := r.redis
	defer func() {
		if changed {
			return
		}
		listen.giveUp()
		if r.redis != before && r.redis != nil {
			r.redis.Close()
		}
		r.redis = before
	}()
	if err := r.refuseOwnNodes(cfg, listen.addrs()); err != nil {
		return false, err
	}
	if old.Affinity.Redis != cfg.Affinity.Redis {
		if r.redis, err = openGreeted(cfg.Affinity); err != nil {
			return false, err
		}
	}
	useCertificates, err := r.certs.Prepare(cfg.TLS, r.certsStore(cfg))
	if err != nil {
		return false, err
	}
	next, err := r.nextParts(cfg, old.Affinity == cfg.Affinity)
	if err != nil {
		return false, err
	}
	useCertificates()
	r.follow(cfg, next, listen)
	if before != nil && before != r.redis {
		time.Sleep(redisGrace)
		before.Close()
	}
	return true, nil
}

// follow has everything be as cfg says, of which nothing can fail any more.
func (r *Replica) follow(cfg *config.Config, next []*part, listen *listening) {
	old := r.cfg.Swap(cfg)
	r.setTrace(old.Trace)
	r.setParts(cfg, next)
	r.setListeners(listen)
	r.setConnections()
	r.shareProcessors()
	r.setAdmin()
	if !slices.Equal(old.TrustedProxies, cfg.TrustedProxies) {
		r.warnOfEverybody()
	}
	if r.Applied != nil {
		r.Applied(cfg)
	}
}

// warnOfEverybody warns of trusted_proxies that have everybody in it.
func (r *Replica) warnOfEverybody() {
	if p, ok := r.cfg.Load().Everybody(); ok {
		r.log.Warn("trusted_proxies has everybody in it, so clients choose their own address, and limits.client_connections does not hold; "+
			"write the addresses of your balancers alone", "network", p)
	}
}

func openRedis(a config.Affinity) (redis.UniversalClient, error) {
	if a.Redis == "" {
		return nil, nil
	}
	client, err := affinity.Open(a.Redis)
	if err != nil {
		return nil, fmt.Errorf("affinity.redis: %w", err)
	}
	return client, nil
}

// openGreeted opens a Redis that answers. What it returns beside an error is to be closed, unless it is nil.
func openGreeted(a config.Affinity) (redis.UniversalClient, error) {
	client, err := openRedis(a)
	if client != nil {
		if err = greet(client); err != nil {
			err = fmt.Errorf("affinity.redis: %w", err)
		}
	}
	return client, err
}

// greet has a Redis answer once: one that does not is no use to a replica that works.
func greet(client redis.UniversalClient) error {
	ctx, cancel := context.WithTimeout(context.Background(), redisPatience)
	defer cancel()
	return client.Ping(ctx).Err()
}

func (r *Replica) parts() []*part { return *r.all.Load() }

// named returns the part of that cluster, nil where there is none.
func named(parts []*part, cluster string) *part {
	if i := slices.IndexFunc(parts, func(p *part) bool { return p.cfg.Name == cluster }); i >= 0 {
		return parts[i]
	}
	return nil
}

// nextParts returns the parts by another configuration. What is known of a cluster stays with its name. Nothing of it is used yet, and
// where it returns an error nothing has changed.
func (r *Replica) nextParts(cfg *config.Config, sameStore bool) ([]*part, error) {
	before := r.parts()
	olds, all := make([]*part, len(cfg.Clusters)), make([]extras, len(cfg.Clusters))
	for i, c := range cfg.Clusters {
		olds[i] = named(before, c.Name)
		var err error
		if all[i], err = r.newExtras(c, olds[i]); err != nil {
			for _, x := range all {
				x.close(before)
			}
			return nil, err
		}
	}
	var next []*part
	for i, c := range cfg.Clusters {
		var p *part
		if olds[i] == nil {
			p = r.newPart(c, cfg.Affinity)
		} else if p = olds[i].next(c); !sameStore {
			r.connect(p, cfg.Affinity)
		}
		p.extras = all[i]
		next = append(next, p)
	}
	return next, nil
}

// setParts has the replica use these parts in place of those before.
func (r *Replica) setParts(cfg *config.Config, next []*part) {
	before := r.parts()
	r.all.Store(&next)
	r.board.Use(r.redis, cfg.Affinity.Prefix)
	for _, p := range next {
		p.extras.use(r.log)
		p.nodes.SetTLS(p.extras.tls.config())
		p.nodes.Configure(p.cfg)
		r.board.Add(p.nodes)
		if r.running != nil {
			p.start(r.running)
		}
	}
	r.updateGateway()
	for _, p := range before {
		p.end(next)
		if !slices.ContainsFunc(next, func(q *part) bool { return q.nodes == p.nodes }) {
			r.board.Remove(p.cfg.Name)
		}
	}
}

// updateGateway gives the gateway what holds now.
func (r *Replica) updateGateway() {
	if r.gateway != nil {
		r.gateway.Update(r.settings())
	}
}

// settings are the gateway's.
func (r *Replica) settings() gateway.Settings {
	cfg := r.cfg.Load()
	s := gateway.Settings{Limits: cfg.Limits, Trusted: cfg.TrustedProxies, HSTS: cfg.TLS.HSTS, Trace: r.tracer.Load()}
	if cfg.HasAccess() {
		s.Access = cmp.Or(r.Access, r.log)
	}
	for _, p := range r.parts() {
		s.Routes = append(s.Routes, p.route())
	}
	return s
}
