package config

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Listener is where clients connect.
type Listener struct {
	Address string      // host:port, whose host may be empty, unix:/path or fd:NAME
	Mode    fs.FileMode // of a Unix socket; 0: as the umask has it
	TLS     bool        // clients speak TLS, with the certificates of Config.TLS
	// ProxyProtocol has each connection begin with the header of the PROXY protocol, which trusted proxies alone may send.
	ProxyProtocol bool
	Redirect      string // https or https:PORT, where every client is sent to; empty: clients are served
}

const (
	unixPrefix = "unix:"
	fdPrefix   = "fd:"
)

// Path returns the path of a Unix socket that is to be made.
func (l Listener) Path() (string, bool) { return strings.CutPrefix(l.Address, unixPrefix) }

// Inherited returns the name of sockets that whoever starts the process has opened.
func (l Listener) Inherited() (string, bool) { return strings.CutPrefix(l.Address, fdPrefix) }

func (l Listener) isTCP() bool {
	_, isPath := l.Path()
	_, isName := l.Inherited()
	return !isPath && !isName
}

// Inherit is the listener that takes the sockets of that name.
func Inherit(name string) Listener { return Listener{Address: fdPrefix + name} }

// Plain reports whether nothing but the address is said.
func (l Listener) Plain() bool { return l == Listener{Address: l.Address} }

// String returns l as a flag would have it.
func (l Listener) String() string {
	var b strings.Builder
	for i, f := range listenerFields {
		switch value := f.show(&l); {
		case i == 0:
			b.WriteString(value)
		case value == "true":
			b.WriteString(";" + f.key)
		case value != "false" && value != "":
			b.WriteString(";" + f.key + "=" + value)
		}
	}
	return b.String()
}

// listenField is the list of listeners. The environment and flags have texts alone.
var listenField = func() field[Config] {
	f := many("listen", func(c *Config) *[]Listener { return &c.Listen }, parseListener)
	f.below, f.tree = aboutOf(listenerFields), (*reader).listeners
	return f
}()

var listenerFields = []field[Listener]{
	one("address", func(l *Listener) *string { return &l.Address }, parseListenerAddress).isRequired().
		withSample(":8080", "host:port, unix:/path or fd:NAME"),
	one("mode", func(l *Listener) *fs.FileMode { return &l.Mode }, parseMode).withShow(func(l *Listener) string { return shownMode(l.Mode) }).
		withSample("0660", "who may open a Unix socket; left out, as the umask has it"),
	one("tls", func(l *Listener) *bool { return &l.TLS }, parseBool).withDefault("false", "clients speak TLS, by the section tls"),
	one("proxy_protocol", func(l *Listener) *bool { return &l.ProxyProtocol }, parseBool).
		withDefault("false", "connections begin with the PROXY protocol's header, version 1 or 2, within 2s; from trusted_proxies alone, or by a Unix socket"),
	one("redirect", func(l *Listener) *string { return &l.Redirect }, parseRedirect).
		withSample("https", "or https:8443; serves nobody, and sends all to the same host and path there by 308"),
}

// listeners reads the list, of texts and objects, or the only one.
func (r *reader) listeners(c *Config, path string, n ast.Node) {
	c.Listen = nil
	nodes := []ast.Node{n}
	if s, ok := n.(*ast.SequenceNode); ok {
		nodes = s.Values
	}
	for i, n := range nodes {
		item := path
		if len(nodes) > 1 {
			item = fmt.Sprintf("%s[%d]", path, i)
		}
		if l, ok := r.listener(item, n); ok {
			c.Listen = append(c.Listen, l)
		}
	}
}

// listener reads one listener, and reports whether nothing is wrong with it.
func (r *reader) listener(path string, n ast.Node) (l Listener, ok bool) {
	m, isObject := n.(*ast.MappingNode)
	if !isObject {
		text, err := r.text(n)
		if err == nil {
			l, err = parseListener(text)
		}
		if err != nil {
			r.add(path, r.place(n), err.Error())
		}
		return l, err == nil
	}
	r.at[path] = r.place(m)
	fill(&l, listenerFields)
	section[Listener]{reader: r, base: path + ".", target: &l, fields: listenerFields}.walk("", m)
	r.require(path+".address", "write host:port, unix:/path or fd:NAME")
	if key, err := l.fault(); err != nil && r.clean(path) {
		r.addAt(path+"."+key, err.Error())
	}
	return l, r.clean(path)
}

// parseListener parses address[;key=value…], where =true may be left out.
func parseListener(text string) (l Listener, err error) {
	fill(&l, listenerFields)
	address, rest, more := strings.Cut(text, ";")
	if l.Address, err = parseListenerAddress(address); err != nil {
		return l, err
	}
	for more {
		var pair string
		pair, rest, more = strings.Cut(rest, ";")
		key, value, said := strings.Cut(pair, "=")
		if !said {
			value = "true"
		}
		i := indexField(listenerFields, key)
		if i < 1 {
			_, err := oneOf(optionsOfListeners()...)(key)
			return l, err
		}
		if err := listenerFields[i].set(&l, value); err != nil {
			return l, fmt.Errorf("%s: %w", key, err)
		}
	}
	if key, err := l.fault(); err != nil {
		return l, fmt.Errorf("%s: %w", key, err)
	}
	return l, nil
}

func optionsOfListeners() (names []string) {
	for _, f := range listenerFields[1:] {
		names = append(names, f.key)
	}
	return names
}

// fault says what is only wrong beside something else.
func (l Listener) fault() (key string, err error) {
	if _, ok := l.Path(); !ok && l.Mode != 0 {
		return "mode", errors.New("only a Unix socket has one; write unix:/path for the address, or take it out")
	}
	if l.TLS && l.Redirect != "" {
		return "redirect", errors.New("clients that speak TLS are where they are to be sent to; take it out, or tls")
	}
	return "", nil
}

// longestSocket is how long the path of a Unix socket may be on any system.
const longestSocket = 103

func parseListenerAddress(text string) (string, error) {
	if path, ok := strings.CutPrefix(text, unixPrefix); ok {
		switch {
		case !strings.HasPrefix(path, "/") || strings.HasSuffix(path, "/"):
			return "", fmt.Errorf("%s names no file by its whole path; write it as unix:/run/sidway.sock", quote(text))
		case len(path) > longestSocket:
			return "", fmt.Errorf("the path has %d bytes, and a Unix socket's may have %d; write a shorter one", len(path), longestSocket)
		}
		return text, nil
	}
	if name, ok := strings.CutPrefix(text, fdPrefix); ok {
		switch {
		case name == "" || strings.Contains(name, ":"):
			return "", fmt.Errorf("%s names no socket; write the FileDescriptorName of systemd's socket unit, as fd:sidway.socket", quote(text))
		case name == "admin":
			return "", errors.New("the socket called admin is for the admin address; call this one otherwise")
		}
		return text, nil
	}
	return parseListen(text)
}

// parseMode parses the permissions of a file, which are octal.
func parseMode(text string) (fs.FileMode, error) {
	n, err := strconv.ParseUint(text, 8, 32)
	if err != nil || n == 0 || n > 0o777 || len(text) < 3 || len(text) > 4 {
		return 0, fmt.Errorf("%s is no mode of a file; write it as chmod takes it, as 0660", quote(text))
	}
	return fs.FileMode(n), nil
}

func shownMode(m fs.FileMode) string {
	if m == 0 {
		return ""
	}
	return fmt.Sprintf("%04o", m)
}

// parseRedirect parses where clients are sent to.
func parseRedirect(text string) (string, error) {
	scheme, port, ported := strings.Cut(text, ":")
	_, err := whole(1, 65535)(port)
	if scheme != "https" || ported && err != nil {
		return "", fmt.Errorf("%s is unknown; write https, or https:8443 where clients are served at another port than 443", quote(text))
	}
	return text, nil
}

// RedirectPort is the port of Redirect, 0 where it is the usual one.
func (l Listener) RedirectPort() uint16 {
	_, port, _ := strings.Cut(l.Redirect, ":")
	n, _ := strconv.ParseUint(port, 10, 16)
	return uint16(n)
}
