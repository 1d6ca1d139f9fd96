package config

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/sidway/sidway/gateway/keyfile"
)

// TLS is what listeners with TLS show to clients, and ask of them.
type TLS struct {
	Certificates []Certificate // clients without a name of one of them get the first
	MinVersion   string        // 1.2 or 1.3
	ClientCA     string        // a file of those who sign clients' certificates; empty: clients are not asked for one
	ClientAuth   string        // require or optional; empty without ClientCA
	// Tickets says by what clients resume sessions: Redis or Off alone, or files with keys, the first of which is used for new
	// tickets; empty: keys of this process, in its memory.
	Tickets []string
	ACME    ACME
	HTTP2   bool          // it is offered to clients
	HSTS    time.Duration // for which browsers are told to come by https alone; 0: they are not
}

// ACME says how certificates are obtained (RFC 8555).
type ACME struct {
	Domains    []string // none: they are not
	Email      string
	Directory  string   // URL
	CA         string   // a file of those who have signed the directory's own certificate; empty: the system knows them
	Storage    string   // StorageRedis or a directory
	Challenges []string // HTTP01, TLSALPN01
	EABKid     string   // of an account that the authority knows already; empty: there is none
	EABHMAC    string   // its key. Never log it.
}

// String shows all but the key.
func (a ACME) String() string {
	return fmt.Sprintf("{%v %s %s %s %s %v}", a.Domains, a.Email, a.Directory, a.CA, a.Storage, a.Challenges)
}

// What ACME knows to be words.
const (
	StorageRedis = "redis"
	HTTP01       = "http-01"
	TLSALPN01    = "tls-alpn-01"
)

// What TLS.Tickets can be instead of files.
const (
	TicketsOfRedis = "redis"
	TicketsOwn     = "own"
	TicketsOff     = "off"
)

// Certificate is the files of a certificate, in PEM.
type Certificate struct {
	Cert string // the server's own first, then those who signed it
	Key  string
}

// String returns c as a flag would have it.
func (c Certificate) String() string {
	if c.Key == c.Cert {
		return c.Cert
	}
	return c.Cert + ";key=" + c.Key
}

// certificatesField is the list of certificates. The environment and flags have texts alone.
var certificatesField = func() field[Config] {
	f := many("tls.certificates", func(c *Config) *[]Certificate { return &c.TLS.Certificates }, parseCertificate)
	f.below, f.tree = aboutOf(certificateFields), (*reader).certificates
	return f
}()

var certificateFields = []field[Certificate]{
	one("cert", func(c *Certificate) *string { return &c.Cert }, parseCert).isRequired().
		withSample("/etc/ssl/a.pem", "a file of PEM: the server's own certificate first, then those who signed it"),
	one("key", func(c *Certificate) *string { return &c.Key }, parseKey).
		withSample("/etc/ssl/a.key", "a file of PEM, without passphrase; left out, the key stands in cert's file"),
}

// certificates reads the list, of texts and objects, or the only one.
func (r *reader) certificates(c *Config, path string, n ast.Node) {
	c.TLS.Certificates = nil
	nodes := []ast.Node{n}
	if s, ok := n.(*ast.SequenceNode); ok {
		nodes = s.Values
	}
	for i, n := range nodes {
		item := fmt.Sprintf("%s[%d]", path, i)
		r.at[item] = r.place(n)
		c.TLS.Certificates = append(c.TLS.Certificates, r.certificate(item, n))
	}
}

func (r *reader) certificate(path string, n ast.Node) (c Certificate) {
	if _, isObject := n.(*ast.MappingNode); !isObject {
		text, err := r.text(n)
		if err == nil {
			c, err = parseCertificate(text)
		}
		if err != nil {
			r.add(path, r.place(n), err.Error())
		}
		return c
	}
	section[Certificate]{reader: r, base: path + ".", target: &c, fields: certificateFields}.walk("", n)
	r.require(path+".cert", "write the certificate's file, as {cert: /etc/ssl/a.pem, key: /etc/ssl/a.key}")
	if key, err := c.complete(); err != nil && r.clean(path) {
		r.addAt(path+"."+key, err.Error())
	}
	return c
}

// parseCertificate parses cert[;key=key].
func parseCertificate(text string) (c Certificate, err error) {
	cert, rest, more := strings.Cut(text, ";")
	if c.Cert, err = parseCert(cert); err != nil {
		return c, err
	}
	if more {
		key, ok := strings.CutPrefix(rest, "key=")
		if !ok {
			return c, fmt.Errorf("%s is not understood behind the certificate; write it as /etc/ssl/a.pem;key=/etc/ssl/a.key", quote(rest))
		}
		if c.Key, err = parseKey(key); err != nil {
			return c, err
		}
	}
	_, err = c.complete()
	return c, err
}

func parseCert(text string) (string, error) {
	return text, look(text, func(data []byte) error { _, err := keyfile.Certificates(data); return err })
}

func parseKey(text string) (string, error) {
	return text, look(text, func(data []byte) error { _, err := keyfile.Key(data); return err })
}

// parseAuthorities parses a file of those who sign certificates.
func parseAuthorities(text string) (string, error) {
	return text, look(text, func(data []byte) error { _, err := keyfile.Authorities(data); return err })
}

// parseTickets parses a word, or a file with a key.
func parseTickets(text string) (string, error) {
	if slices.Contains([]string{TicketsOfRedis, TicketsOwn, TicketsOff}, text) {
		return text, nil
	}
	return text, look(text, func(data []byte) error { _, err := keyfile.Ticket(data); return err })
}

// checkTickets refuses words among files, and Redis where there is none, which is used where nothing is said.
func (l *loader) checkTickets() {
	t := &l.cfg.TLS
	isFile := func(s string) bool { return s != TicketsOfRedis && s != TicketsOwn && s != TicketsOff }
	words := slices.DeleteFunc(slices.Clone(t.Tickets), isFile)
	switch redis := l.cfg.Affinity.Redis != ""; {
	case !l.clean("tls.tickets"):
	case len(words) > 0 && len(t.Tickets) > 1:
		l.addAt("tls.tickets", words[0]+" stands alone; take it out, or all others")
	case slices.Contains(words, TicketsOfRedis) && !redis && l.clean("affinity.redis"):
		l.addAt("tls.tickets", "there is no Redis; write affinity.redis too, or own, or files")
	case len(t.Tickets) == 0 && redis:
		t.Tickets = []string{TicketsOfRedis}
	case slices.Contains(words, TicketsOwn):
		t.Tickets = nil
	}
}

// look returns what is wrong with a file: that it cannot be read, or what check says of its content.
func look(file string, check func([]byte) error) error {
	if file == "" {
		return errors.New("the name is empty; write a file's, or leave the key out")
	}
	data, err := keyfile.Read(file)
	if err != nil {
		return absent(file, err)
	}
	if err := check(data); err != nil {
		return fmt.Errorf("%s %w", quote(file), err)
	}
	return nil
}

// complete looks for the key in the certificate's file where no other is said, and says what is wrong with the two together.
func (c *Certificate) complete() (key string, err error) {
	cert, err := keyfile.Read(c.Cert)
	if err != nil {
		return "cert", absent(c.Cert, err)
	}
	if c.Key == "" {
		c.Key = c.Cert
		if _, err := keyfile.Key(cert); err != nil {
			return "key", fmt.Errorf("this is missing, and %s holds no key either; write the file of the key", quote(c.Cert))
		}
	}
	return "key", look(c.Key, func(data []byte) error { _, err := keyfile.Pair(cert, data); return err })
}

// checkTLS finds what is only wrong beside something else.
func (l *loader) checkTLS() {
	t := &l.cfg.TLS
	for i := range t.Certificates {
		l.checkCurrent(t.Certificates[i], fmt.Sprintf("tls.certificates[%d]", i))
	}
	l.checkTickets()
	l.checkACME()
	switch {
	case t.ClientCA != "" && t.ClientAuth == "":
		t.ClientAuth = "require"
	case t.ClientCA == "" && t.ClientAuth != "" && l.clean("tls.client_ca"):
		l.addAt("tls.client_auth", "it is for client_ca, and there is none; write client_ca too, the file of those who sign clients' certificates")
	}
}

// checkWithoutTLS refuses what is only for clients that come by TLS, where no listener speaks it. Proxies that do may be believed that
// clients came so: those of trusted_proxies, and whoever may open a Unix socket, as an inherited one may be.
func (l *loader) checkWithoutTLS() {
	const none = ", since no listener speaks TLS; write listen: [{address: \":443\", tls: true}]"
	if l.cfg.TLS.HTTP2 {
		l.addAt("tls.http2", "it is offered to nobody"+none+", or take it out")
	}
	believed := len(l.cfg.TrustedProxies) > 0 || slices.ContainsFunc(l.cfg.Listen, func(a Listener) bool { return !a.isTCP() })
	if l.cfg.TLS.HSTS > 0 && !believed && l.clean("trusted_proxies") {
		l.addAt("tls.hsts", "nobody is told of it"+none+", or trusted_proxies, if one of these does")
	}
}

// checkCurrent refuses a certificate that has ended, where that is asked. A replica serves on with it: it may be one of several, and
// to refuse all that is asked for would be no better.
func (l *loader) checkCurrent(c Certificate, base string) {
	if !l.strict || !l.clean(base) || !l.clean("tls.certificates") {
		return
	}
	err := look(c.Cert, func(data []byte) error {
		all, err := keyfile.Certificates(data)
		if err != nil {
			return err
		}
		return keyfile.Current(all[0], time.Now())
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.addAt(base+".cert", err.Error())
	}
}
