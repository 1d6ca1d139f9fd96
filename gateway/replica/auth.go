package replica

import (
	"reflect"
	"sync/atomic"
	"time"

	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/api"
	"github.com/sidway/sidway/gateway/auth"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/notice"
)

// newAuth returns who may have a session of a cluster, nil where anybody may. What before has goes on where nothing of it changes, with
// the keys that it has fetched and the verdicts that it keeps.
func (r *Replica) newAuth(cfg config.Cluster, before *part) *gateway.Auth {
	if before != nil && reflect.DeepEqual(before.cfg.Auth, cfg.Auth) {
		return before.extras.route.Auth
	}
	switch {
	case cfg.Auth.JWT != nil:
		return r.newJWT(cfg.Name, cfg.Auth.JWT)
	case cfg.Auth.Forward != nil:
		f := cfg.Auth.Forward
		return &gateway.Auth{Fields: f.Copy, Gate: auth.NewForward(auth.ForwardOptions{
			URL: f.URL, Headers: append([]string{"Authorization", "Cookie"}, f.Headers...), Copy: f.Copy, Timeout: f.Timeout, Cache: f.Cache,
			FailOpen: f.FailOpen, OnFault: r.tellAuth(cfg.Name, "the server of auth.forward cannot be asked", "the server of auth.forward can be asked again"),
		})}
	}
	return nil
}

func (r *Replica) newJWT(cluster string, j *config.JWT) *gateway.Auth {
	a := &gateway.Auth{Strip: j.Strip, Connect: j.Connect()}
	for _, text := range j.Places() {
		p, _ := gateway.ParseTokenPlace(text) // which the configuration has checked
		a.From = append(a.From, p)
	}
	o := auth.JWTOptions{
		Keys: j.JWK(), JWKS: j.JWKS, Algorithms: j.Algorithms, Issuer: j.Issuer, Audience: j.Audience,
		Leeway: j.Leeway, Required: j.Required, OnFault: r.tellAuth(cluster, "the keys of auth.jwt.jwks cannot be fetched", "the keys of auth.jwt.jwks can be fetched again"),
	}
	for _, c := range j.Claims {
		o.Claims = append(o.Claims, auth.Claim(c))
		a.Fields = append(a.Fields, c.Header)
	}
	a.Gate = auth.NewJWT(o)
	return a
}

// authFault returns why the last look-up of a cluster's gate has failed, nil where it has not, and whether it has anybody to ask.
func authFault(p *part) (f *auth.Fault, asks bool) {
	if a := p.extras.route.Auth; a != nil {
		return a.Gate.Fault()
	}
	return nil, false
}

func statusOfAuth(p *part) *api.Auth {
	f, asks := authFault(p)
	if !asks {
		return nil
	}
	a := &api.Auth{Asks: "jwks", Up: f == nil}
	if p.cfg.Auth.Forward != nil {
		a.Asks = "forward"
	}
	if f != nil {
		a.Failed, a.Error, a.LetsIn = f.At, f.Why, f.Some
	}
	return a
}

// authQuiet is how long it is not told again that a look-up fails which has worked in between.
const authQuiet = time.Minute

// tellAuth returns what logs that something fails, and that it works again. Of what fails and works by turns one change in a while is told.
func (r *Replica) tellAuth(cluster, fails, works string) func(error) {
	log := r.log.With("cluster", cluster)
	failures := notice.Limiter[string]{Pause: authQuiet}
	var told atomic.Bool
	return func(err error) {
		switch {
		case err != nil && failures.Due(cluster):
			told.Store(true)
			log.Error(fails, "error", err)
			r.event("auth", cluster, "", fails+": "+err.Error())
		case err == nil && told.Swap(false):
			log.Info(works)
			r.event("auth", cluster, "", works)
		}
	}
}
