package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	acmeclient "github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"

	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/keyfile"
	"github.com/sidway/sidway/gateway/notice"
	"github.com/sidway/sidway/gateway/pace"
)

// What certmagic tells.
const (
	obtained = "cert_obtained"
	failed   = "cert_failed"
)

const (
	// challengePath is where HTTP-01 asks (RFC 8555, 8.3), and challengeProtocol what TLS-ALPN-01 speaks (RFC 8737).
	challengePath     = "/.well-known/acme-challenge/"
	challengeProtocol = "acme-tls/1"
	// strangers is how many questions a second for challenges that this replica has not begun are looked up for.
	strangers = 20
	// failedQuiet is how often the log says that a certificate cannot be obtained.
	failedQuiet = time.Hour
	// loadTime is how long what was obtained before may take to be read when ACME begins.
	loadTime = 2 * time.Second
	// startTime is how long clients wait for that.
	startTime = loadTime + time.Second
	// storageAgain is the pause after storage could not be read.
	storageAgain = 10 * time.Second
)

// acme obtains certificates, and renews them. Between start and stop it may be used concurrently.
type acme struct {
	cfg      config.ACME
	store    Store
	log      *slog.Logger
	say      func(slog.Level, string, ...any)
	roots    *x509.CertPool // of the directory; nil: the system's
	failures notice.Limiter[string]

	storage certmagic.Storage
	live    atomic.Pointer[live] // nil: it has not started
	ready   chan struct{}        // closed when it has

	life   sync.Mutex // guards what follows
	over   bool
	cancel context.CancelFunc // nil: it has not started
	decoy  net.Listener
	work   sync.WaitGroup

	mu     sync.Mutex // guards what follows
	failed map[string]error
	asked  pace.Bucket
	began  time.Time
}

// live is what there is of certmagic.
type live struct {
	cache  *certmagic.Cache
	magic  *certmagic.Config
	issuer *certmagic.ACMEIssuer
}

// newACME returns nil where no domain is named.
func newACME(cfg config.ACME, s Store, c *Certificates) (*acme, error) {
	if len(cfg.Domains) == 0 {
		return nil, nil
	}
	a := &acme{
		cfg: cfg, store: s, log: c.log, say: c.say, failed: map[string]error{}, ready: make(chan struct{}), asked: pace.Full(), began: time.Now(),
		failures: notice.Limiter[string]{Pause: failedQuiet},
	}
	if cfg.CA != "" {
		data, err := keyfile.Read(cfg.CA)
		if err != nil {
			return nil, err
		}
		if a.roots, err = keyfile.Authorities(data); err != nil {
			return nil, inFile(cfg.CA, err)
		}
	}
	switch {
	case cfg.Storage != config.StorageRedis:
		a.storage = &certmagic.FileStorage{Path: cfg.Storage}
		return a, os.MkdirAll(cfg.Storage, 0o700)
	case s.Redis == nil:
		return nil, errors.New("storage is to be redis, and there is none")
	}
	a.storage = newStorage(s)
	return a, nil
}

// same reports whether a does what b does.
func (a *acme) same(b *acme) bool {
	return a == b || a != nil && b != nil && a.store == b.store && reflect.DeepEqual(a.cfg, b.cfg)
}

// start reads what was obtained before, and obtains in the background what there is not.
func (a *acme) start(ctx context.Context) (err error) {
	a.life.Lock()
	defer a.life.Unlock()
	if a.over {
		return nil
	}
	// certmagic would listen for challenges itself, on ports that may be a balancer's and not ours. It does not where it finds somebody
	// to listen, who it then believes to answer by Challenge and by TLS, as we do.
	if a.decoy, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return err
	}
	a.work.Go(func() { closeAll(a.decoy) })
	ctx, a.cancel = context.WithCancel(ctx)
	l, logger := &live{}, zapOf(a.log)
	l.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return l.magic, nil }, Logger: logger,
	})
	l.magic = certmagic.New(l.cache, certmagic.Config{
		Storage: a.storage, Logger: logger, OCSP: certmagic.OCSPConfig{DisableStapling: true}, OnEvent: a.event,
		ShouldEmitFunc: func(event string) bool { return event == obtained || event == failed },
	})
	l.issuer = certmagic.NewACMEIssuer(l.magic, a.template(logger))
	l.magic.Issuers = []certmagic.Issuer{l.issuer}
	soon, cancel := context.WithTimeout(ctx, loadTime)
	defer cancel()
	for _, d := range a.cfg.Domains {
		_, _ = l.magic.CacheManagedCertificate(soon, d) // whatever is wrong, manage meets it again
	}
	a.live.Store(l)
	close(a.ready)
	for _, d := range a.cfg.Domains {
		a.work.Go(func() { a.manage(ctx, l.magic, d) })
	}
	return nil
}

// closeAll closes each connection that comes.
func closeAll(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		conn.Close()
	}
}

func (a *acme) template(logger *zap.Logger) certmagic.ACMEIssuer {
	port := a.decoy.Addr().(*net.TCPAddr).Port
	t := certmagic.ACMEIssuer{
		CA: a.cfg.Directory, Email: a.cfg.Email, Agreed: true, TrustedRoots: a.roots, Logger: logger,
		ListenHost: "127.0.0.1", AltHTTPPort: port, AltTLSALPNPort: port,
	}
	if len(a.cfg.Challenges) > 0 {
		t.DisableHTTPChallenge = !slices.Contains(a.cfg.Challenges, config.HTTP01)
		t.DisableTLSALPNChallenge = !slices.Contains(a.cfg.Challenges, config.TLSALPN01)
	}
	if a.cfg.EABKid != "" {
		t.ExternalAccount = &acmeclient.EAB{KeyID: a.cfg.EABKid, MACKey: a.cfg.EABHMAC}
	}
	return t
}

// stop ends what start has begun, or will begin, and returns when nothing is left of it.
func (a *acme) stop() {
	if a == nil {
		return
	}
	a.life.Lock()
	defer a.life.Unlock()
	a.over = true
	if a.cancel == nil {
		return
	}
	a.cancel()
	a.decoy.Close()
	a.work.Wait()
	a.live.Load().cache.Stop()
	a.cancel = nil
}

// manage has a domain's certificate in the cache, which renews it from then on.
func (a *acme) manage(ctx context.Context, magic *certmagic.Config, domain string) {
	for ctx.Err() == nil {
		err := obtain(ctx, magic, domain)
		if err == nil {
			return
		}
		a.fail(ctx, domain, err)
		select {
		case <-ctx.Done():
		case <-time.After(storageAgain):
		}
	}
}

// obtain has a certificate in the cache that is good for some time. It waits and tries again by itself, for weeks.
func obtain(ctx context.Context, magic *certmagic.Config, domain string) error {
	cert, err := magic.CacheManagedCertificate(ctx, domain)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = magic.ObtainCertAsync(ctx, domain)
	case err == nil && cert.NeedsRenewal(magic):
		err = magic.RenewCertAsync(ctx, domain, false)
	default:
		return err
	}
	if err == nil {
		_, err = magic.CacheManagedCertificate(ctx, domain)
	}
	return err
}

// event hears of what certmagic has done.
func (a *acme) event(ctx context.Context, event string, data map[string]any) error {
	domain, _ := data["identifier"].(string)
	switch event {
	case failed:
		err, _ := data["error"].(error)
		a.fail(ctx, domain, err)
	case obtained:
		a.mu.Lock()
		delete(a.failed, domain)
		a.mu.Unlock()
		a.say(slog.LevelInfo, "certificate obtained", "name", domain, "renewal", data["renewal"])
	}
	return nil
}

// fail notes why there is no certificate, or no new one.
func (a *acme) fail(ctx context.Context, domain string, err error) {
	if ctx.Err() != nil {
		return
	}
	a.mu.Lock()
	a.failed[domain] = err
	a.mu.Unlock()
	if a.failures.Due(domain) {
		a.say(slog.LevelError, "certificate not obtained, it is tried again", "name", domain, "error", err)
	}
}

// started returns what start has made, for which it waits a moment: listeners may be faster.
func (a *acme) started(ctx context.Context) *live {
	if l := a.live.Load(); l != nil {
		return l
	}
	select {
	case <-a.ready:
	case <-ctx.Done():
	case <-time.After(startTime):
	}
	return a.live.Load()
}

// certificate returns that of a domain, nil where there is none, and of any domain where no name is asked for.
func (a *acme) certificate(ctx context.Context, name string) *tls.Certificate {
	if a == nil || name != "" && !slices.Contains(a.cfg.Domains, name) {
		return nil
	}
	l := a.started(ctx)
	for _, d := range a.cfg.Domains {
		if name != "" && name != d {
			continue
		}
		if c := l.newest(d); c != nil {
			return c
		}
	}
	return nil
}

// newest returns a domain's certificate, nil where there is none. l may be nil.
func (l *live) newest(domain string) *tls.Certificate {
	if l == nil {
		return nil
	}
	all := l.cache.AllMatchingCertificates(domain)
	if len(all) == 0 {
		return nil
	}
	newest := slices.MaxFunc(all, func(x, y certmagic.Certificate) int { return x.Leaf.NotAfter.Compare(y.Leaf.NotAfter) })
	return &newest.Certificate
}

// statuses returns how the certificates of all domains are.
func (a *acme) statuses() (all []Status) {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, d := range a.cfg.Domains {
		s := Status{Name: d}
		if c := a.live.Load().newest(d); c != nil {
			s = statusOf(c.Leaf, nil)
		}
		s.Err = a.failed[d]
		all = append(all, s)
	}
	return all
}

// why reports whether a domain's certificate is to be obtained, and why there is none, nil where that is not known.
func (a *acme) why(domain string) (named bool, err error) {
	if a == nil || !slices.Contains(a.cfg.Domains, domain) {
		return false, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return true, a.failed[domain]
}

// asks reports whether a challenge for a domain may be looked up: strangers must not have storage asked as often as they like.
func (a *acme) asks(domain string) bool {
	if a == nil || !slices.Contains(a.cfg.Domains, domain) {
		return false
	}
	if _, ours := certmagic.GetACMEChallenge(domain); ours {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.asked.Wait(time.Since(a.began), strangers, strangers) > 0 {
		return false
	}
	a.asked.Take()
	return true
}

// challenge returns the configuration for one who asks by TLS whether we have a domain; nil: nobody does.
func (a *acme) challenge(hello *tls.ClientHelloInfo) *tls.Config {
	if len(hello.SupportedProtos) != 1 || hello.SupportedProtos[0] != challengeProtocol || !a.asks(strings.ToLower(hello.ServerName)) {
		return nil
	}
	l := a.started(hello.Context())
	if l == nil {
		return nil
	}
	return &tls.Config{NextProtos: []string{challengeProtocol}, GetCertificate: l.magic.GetCertificate, SessionTicketsDisabled: true}
}

// Challenge returns what an authority is to find at /.well-known/acme-challenge/ and a token for a host, as text/plain, and whether there
// is such a challenge (RFC 8555, 8.3). It may ask the storage, and wait for it for three seconds.
func (c *Certificates) Challenge(host, token string) (answer string, ok bool) {
	c.mu.Lock()
	a := c.acme
	c.mu.Unlock()
	if host = strings.ToLower(host); !a.asks(host) {
		return "", false
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	l := a.started(ctx)
	if l == nil {
		return "", false
	}
	r := (&http.Request{Method: http.MethodGet, Host: host, URL: &url.URL{Path: challengePath + token}}).WithContext(ctx)
	var w proof
	ok = l.issuer.HandleHTTPChallenge(&w, r)
	return w.String(), ok
}

// proof takes an answer.
type proof struct{ strings.Builder }

// Header implements http.ResponseWriter.
func (p *proof) Header() http.Header { return http.Header{} }

// WriteHeader implements http.ResponseWriter.
func (p *proof) WriteHeader(int) {}
