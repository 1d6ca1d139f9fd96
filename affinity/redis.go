package affinity

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// opTimeout bounds one operation with all it may need: a turn in the pool, a dial, a greeting, the round trip.
	opTimeout = 100 * time.Millisecond
	// poolTimeout is shorter, so that waiting for our own connections is told from waiting for Redis.
	poolTimeout = 50 * time.Millisecond
)

var _ Back = (*Redis)(nil)

// errUnanswered is a command that came back without error and without answer.
var errUnanswered = errors.New("no answer")

// errBroken is a value that this version cannot read. It counts as not found, and the next Bind overwrites it.
var errBroken = fmt.Errorf("%w: its value cannot be read", ErrNotFound)

// Redis is a Store in Redis, shared by all replicas. Each operation is one round trip (but see Bind), which operations that come at the
// same time share, is never tried twice, and ends after about 100 ms. It is safe for concurrent use and does not close its client. An ACL must allow it GET, SET, DEL,
// PTTL, INCRBY, PEXPIRE and INFO, and for a Cluster CLUSTER SLOTS.
type Redis struct {
	client redis.UniversalClient
	prefix string
	trust  *trust

	batches *batches

	// OnLost is told how many bindings were missing when they were renewed, although they had not expired: Redis evicts, was
	// emptied, or came back without what it had acknowledged. They are bound again. It must not block and may be nil.
	OnLost func(n int)
}

// NewRedis returns a Store that keeps sid under the key prefix+sid, for example "sidway:chat:". Clusters that share one
// Redis need prefixes of their own. The client comes from Open or has its settings: no retries, context timeouts on.
func NewRedis(c redis.UniversalClient, prefix string) *Redis {
	return &Redis{client: c, prefix: prefix, trust: newTrust(c, prefix), batches: newBatches(c)}
}

// Bind implements Store with one SET. Where the sid of a first binding has a value already, a GET follows, and another SET unless it
// is taken; where that of a renewal has none, another SET does: each has 100 ms.
func (r *Redis) Bind(ctx context.Context, sid string, b Binding) error {
	return waitFor(ctx, func(done func(error)) { r.BindThen(sid, b, done) })
}

// BindThen implements Store.
func (r *Redis) BindThen(sid string, b Binding, done func(error)) {
	first := r.sets([]Entry{{strings.Clone(sid), b}}, true)
	r.batches.begin(first.add, func(err error) {
		var unmet []Entry
		if err == nil {
			unmet, err = first.unmet()
		}
		if len(unmet) == 0 {
			done(r.failure(context.Background(), "bind", err))
			return
		}
		go func() { done(r.bindUnmet(unmet)) }() // which is rare
	})
}

// bindUnmet is the rest of Bind where one SET did not do.
func (r *Redis) bindUnmet(unmet []Entry) error {
	ctx := context.Background()
	taken, lost, err := r.resolve(unmet, func(add func(redis.Pipeliner)) error { return r.batches.do(ctx, add) })
	r.tellLost(lost)
	if len(taken) > 0 {
		return &TakenError{taken[0].Binding.Node}
	}
	return r.failure(ctx, "bind", err)
}

// BindAll implements Back with one SET each in one round trip, and more where sids have values already or have none any more. What a
// Redis that has kept its data lacks was unbound by other replicas, and is not told of as lost.
func (r *Redis) BindAll(ctx context.Context, batch []Entry) ([]Entry, error) {
	taken, lost, err := r.bind(batch, func(add func(redis.Pipeliner)) error {
		limited, stop := context.WithTimeout(ctx, opTimeout)
		defer stop()
		_, _ = r.client.Pipelined(limited, func(p redis.Pipeliner) error { add(p); return nil }) // each command has its own error
		return nil
	})
	if r.trust.emptied.Load() {
		r.tellLost(lost)
	}
	return taken, r.failure(ctx, "bind batch", err)
}

func (r *Redis) tellLost(n int) {
	if n > 0 && r.OnLost != nil {
		r.OnLost(n)
	}
}

// lostEarly is how long before its end a binding must be missing to count as lost: our clock began after Redis's.
const lostEarly = time.Second

// bind writes a batch with do, which sends one pipeline. A first binding is written where there is none. Where there is
// one, it is read: one to another node stays; whatever else is there is overwritten, which restarts the TTL of an equal
// one. A renewal is written at once, and once more where there is nothing to renew, of which lost is the number that had not expired.
func (r *Redis) bind(batch []Entry, do func(func(redis.Pipeliner)) error) (taken []Entry, lost int, err error) {
	unmet, err := r.set(batch, true, do)
	if err != nil || len(unmet) == 0 {
		return nil, 0, err
	}
	return r.resolve(unmet, do)
}

// resolve is the rest of bind, for those that one SET each was not enough for.
func (r *Redis) resolve(unmet []Entry, do func(func(redis.Pipeliner)) error) (taken []Entry, lost int, err error) {
	var ours, there []Entry
	for _, e := range unmet {
		if e.Binding.Expires.IsZero() {
			there = append(there, e)
			continue
		}
		ours = append(ours, e)
		if time.Until(e.Binding.Expires) > lostEarly {
			lost++
		}
	}
	if len(there) > 0 {
		var free []Entry
		if taken, free, err = r.split(there, do); err != nil {
			return nil, 0, err
		}
		ours = append(ours, free...)
	}
	if len(ours) > 0 {
		if _, err = r.set(ours, false, do); err != nil {
			return taken, 0, err // they will be found missing again
		}
	}
	return taken, lost, nil
}

// split reads the values of sids that have one, and returns those that live on other nodes, with the bindings that are there, and
// the rest.
func (r *Redis) split(there []Entry, do func(func(redis.Pipeliner)) error) (taken, free []Entry, err error) {
	gets := make([]*redis.StringCmd, len(there))
	if err := do(func(p redis.Pipeliner) {
		for i, e := range there {
			gets[i] = p.Get(context.Background(), r.prefix+e.SID)
		}
	}); err != nil {
		return nil, nil, err
	}
	for i, e := range there {
		value, err := gets[i].Result()
		if err != nil && !errors.Is(err, redis.Nil) && !wrongType(err) {
			return nil, nil, err
		}
		if b, err := decode(value); err == nil && b.Node != e.Binding.Node {
			taken = append(taken, Entry{e.SID, b})
			continue
		}
		free = append(free, e)
	}
	return taken, free, nil
}

// set writes entries and returns those that did not meet their condition: see sets.
func (r *Redis) set(entries []Entry, conditional bool, do func(func(redis.Pipeliner)) error) (unmet []Entry, err error) {
	s := r.sets(entries, conditional)
	if err := do(s.add); err != nil {
		return nil, err
	}
	return s.unmet()
}

// sets are the SETs of entries in one pipeline. Where they are conditional, a first binding must find nothing and a renewal something.
type sets struct {
	prefix      string
	entries     []Entry
	conditional bool
	commands    []*redis.StatusCmd
}

func (r *Redis) sets(entries []Entry, conditional bool) *sets {
	return &sets{r.prefix, entries, conditional, make([]*redis.StatusCmd, len(entries))}
}

func (s *sets) add(p redis.Pipeliner) {
	for i, e := range s.entries {
		args := redis.SetArgs{TTL: e.Binding.TTL()}
		switch {
		case s.conditional && e.Binding.Expires.IsZero():
			args.Mode = "NX"
		case s.conditional:
			args.Mode = "XX"
		}
		s.commands[i] = p.SetArgs(context.Background(), s.prefix+e.SID, encode(e.Binding), args)
	}
}

// unmet returns the entries that did not meet their condition.
func (s *sets) unmet() (unmet []Entry, err error) {
	for i, set := range s.commands {
		if err := acknowledged(set); errors.Is(err, redis.Nil) {
			unmet = append(unmet, s.entries[i])
		} else if err != nil {
			return nil, err
		}
	}
	return unmet, nil
}

// acknowledged returns nil where Redis answered OK. A command whose connection was refused in its greeting comes back
// with neither error nor answer, so the absence of an error proves nothing.
func acknowledged(set *redis.StatusCmd) error {
	if set.Err() == nil && set.Val() != "OK" {
		return errUnanswered
	}
	return set.Err()
}

// Lookup implements Store. It asks for the value and for the time it has left in one round trip, so that Expires
// depends on no other machine's clock. A value that this version cannot read counts as not found.
func (r *Redis) Lookup(ctx context.Context, sid string) (Binding, error) {
	return wait(ctx, func(done func(Binding, error)) { r.LookupThen(sid, done) })
}

// LookupThen implements Store.
func (r *Redis) LookupThen(sid string, done func(Binding, error)) { r.look("look up", sid, 0, done) }

// Renew implements Back with PEXPIRE and what Lookup asks for, in one round trip: a value that takes the old one's place meanwhile stays.
func (r *Redis) Renew(ctx context.Context, sid string, ttl time.Duration) (Binding, error) {
	return wait(ctx, func(done func(Binding, error)) { r.look("renew", sid, ttl, done) })
}

// look asks for a binding, which is to live for as long as renewed from now on; 0: for as long as it does.
func (r *Redis) look(op, sid string, renewed time.Duration, done func(Binding, error)) {
	l := &look{op: op, key: r.prefix + sid, renewed: renewed, asked: time.Now()}
	r.batches.begin(l.add, func(err error) {
		if err != nil {
			done(Binding{}, r.failure(context.Background(), op, err))
			return
		}
		done(r.found(l))
	})
}

// look is the commands that ask for one binding.
type look struct {
	op, key string
	renewed time.Duration
	asked   time.Time
	renewal *redis.BoolCmd
	get     *redis.StringCmd
	ttl     *redis.DurationCmd
}

func (l *look) add(p redis.Pipeliner) {
	ctx := context.Background()
	if l.renewed > 0 {
		l.renewal = p.PExpire(ctx, l.key, l.renewed)
	}
	l.get, l.ttl = p.Get(ctx, l.key), p.PTTL(ctx, l.key)
}

// found returns what Redis has answered.
func (r *Redis) found(l *look) (Binding, error) {
	left, err := l.ttl.Val(), errors.Join(l.get.Err(), l.ttl.Err())
	if l.renewed > 0 {
		err = errors.Join(l.renewal.Err(), err)
	}
	get, ctx := l.get, context.Background()
	switch {
	case errors.Is(get.Err(), redis.Nil):
		return Binding{}, ErrNotFound
	case wrongType(get.Err()):
		return Binding{}, errBroken
	case err != nil:
		return Binding{}, r.failure(ctx, l.op, err)
	case left == 0 && get.Val() == "":
		return Binding{}, r.failure(ctx, l.op, errUnanswered) // see acknowledged
	case left <= 0:
		return Binding{}, ErrNotFound
	}
	b, err := decode(get.Val())
	if err != nil {
		return Binding{}, fmt.Errorf("%w: %w", errBroken, err)
	}
	b.Expires = l.asked.Add(left)
	return b, nil
}

// Unbind implements Store with one DEL.
func (r *Redis) Unbind(ctx context.Context, sid string) error {
	key := r.prefix + sid
	var del *redis.IntCmd
	if err := r.batches.do(ctx, func(p redis.Pipeliner) {
		del = p.Del(context.Background(), key)
	}); err != nil {
		return r.failure(ctx, "unbind", err)
	}
	return r.failure(ctx, "unbind", del.Err())
}

// failure turns a client's error into this package's. ctx is the caller's own context, without our time limit. The
// cause is told but not wrapped: our time limit must not look like the caller's.
func (r *Redis) failure(ctx context.Context, what string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return &OpError{what, r.cause(err)}
}

// OpError is a failure of an operation.
type OpError struct {
	Op  string // as bind or look up
	Err error  // a sentence for people: what is wrong, and what to mend where that is known
}

// Error returns both.
func (e *OpError) Error() string { return "affinity: " + e.Op + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *OpError) Unwrap() error { return e.Err }

// cause says why Redis cannot be used.
func (r *Redis) cause(err error) error {
	switch {
	case errors.Is(err, ErrUnavailable):
		return err
	case errors.Is(err, redis.ErrPoolTimeout):
		return ErrBusy
	case refusesWrites(err):
		return fmt.Errorf("%w: %v", ErrReadOnly, err)
	}
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() {
		if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" { // which says where to
			return fmt.Errorf("%w: %v", ErrLate, err)
		}
		return ErrLate
	}
	if mend := remedy(err); mend != "" {
		r.trust.granted.Store(false)
		return fmt.Errorf("%w: %s; %s", ErrDenied, strings.TrimSuffix(err.Error(), "."), mend)
	}
	return fmt.Errorf("%w: %v", ErrUnavailable, err)
}

// wrongType reports whether err is Redis's answer about a key that holds no string: about that key and nothing else.
func wrongType(err error) bool { return redis.HasErrorPrefix(err, "WRONGTYPE") }

// refusesWrites reports whether err is Redis's answer to a write while it would still answer a read.
func refusesWrites(err error) bool {
	for _, code := range [...]string{"READONLY", "OOM", "MISCONF", "NOREPLICAS"} {
		if redis.HasErrorPrefix(err, code) {
			return true
		}
	}
	return false
}

// remedies are what to do about the answers by which Redis refuses a client, whatever that asks for.
var remedies = [...]struct{ prefix, mend string }{
	{"NOAUTH", "it asks for a password: write the user and the password in its URL, as redis://user:password@host"},
	{"WRONGPASS", "mend the user or the password in its URL, or switch the user on in Redis"},
	{"AUTH", "it has no password for this user: take the password out of its URL, or set it in Redis"},
	{"invalid password", "mend the password in its URL"},
	{"NOPERM", GrantRights},
	{"max number of clients reached", "raise its maxclients, or find out who has so many connections"},
	{"DB index is out of range", "it has no such database: mend the number at the end of its URL"},
}

// remedy returns what a person has to do about err, "" where it may pass by itself.
func remedy(err error) string {
	if _, untrusted := errors.AsType[*tls.CertificateVerificationError](err); untrusted {
		return "name its certificate's authority in its URL, as ?ca=file, and the host as the certificate does"
	}
	switch {
	case errors.Is(err, errPlain):
		return "write redis in place of rediss in its URL"
	case errors.Is(err, errTLS):
		return "write rediss in place of redis in its URL"
	case errors.Is(err, errNoMaster):
		return "mend the name in its URL"
	}
	for _, r := range remedies {
		if redis.HasErrorPrefix(err, r.prefix) {
			return r.mend
		}
	}
	return ""
}
