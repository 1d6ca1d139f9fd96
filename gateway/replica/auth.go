package replica

import (
	"reflect"

	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/auth"
	"github.com/sidway/sidway/gateway/config"
)

// newAuth returns who may have a session of a cluster, nil where anybody may. What before has goes on where nothing of it changes, with
// the keys that it has fetched and the verdicts that it keeps.
func (r *Replica) newAuth(cfg config.Cluster, before *part) *gateway.Auth {
	if before != nil && reflect.DeepEqual(before.cfg.Auth, cfg.Auth) {
		return before.extras.route.Auth
	}
	if j := cfg.Auth.JWT; j != nil {
		return r.newJWT(cfg.Name, j)
	}
	return nil
}

func (r *Replica) newJWT(cluster string, j *config.JWT) *gateway.Auth {
	a := &gateway.Auth{Strip: j.Strip}
	for _, text := range j.From {
		p, _ := gateway.ParseTokenPlace(text) // which the configuration has checked
		a.From = append(a.From, p)
	}
	o := auth.JWTOptions{
		Keys: j.JWK(), JWKS: j.JWKS, Algorithms: j.Algorithms, Issuer: j.Issuer, Audience: j.Audience,
		Leeway: j.Leeway, Required: j.Required, OnFault: r.tellAuth(cluster, "the keys at auth.jwt.jwks"),
	}
	for _, c := range j.Claims {
		o.Claims = append(o.Claims, auth.Claim(c))
		a.Fields = append(a.Fields, c.Header)
	}
	a.Gate = auth.NewJWT(o)
	return a
}

// tellAuth returns what logs that something cannot be asked, and that it can again.
func (r *Replica) tellAuth(cluster, what string) func(error) {
	log := r.log.With("cluster", cluster)
	return func(err error) {
		if err != nil {
			log.Error(what+" cannot be asked for", "error", err)
			r.event("auth", cluster, "", what+" cannot be asked for: "+err.Error())
			return
		}
		log.Info(what + " can be asked for again")
		r.event("auth", cluster, "", what+" can be asked for again")
	}
}
