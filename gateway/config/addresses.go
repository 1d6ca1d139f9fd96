package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/sidway/sidway/affinity/redisurl"
)

// parseListen parses an address to listen on.
func parseListen(text string) (string, error) {
	switch {
	case isDigits(text):
		return "", fmt.Errorf("%s is a port without a colon; write :%s", quote(text), text)
	case strings.Contains(text, "://"):
		return "", fmt.Errorf("%s is a URL; write only host:port, as 0.0.0.0:8080", quote(text))
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", fmt.Errorf("%s is no address; write host:port, as 0.0.0.0:8080, :8080 or [::1]:8080", quote(text))
	}
	if host != "" && !isHost(host) {
		return "", fmt.Errorf("%s has no valid host; write an IP address, a host name, or nothing for all addresses", quote(text))
	}
	if _, err := whole(0, 65535)(port); err != nil {
		return "", fmt.Errorf("%s has no valid port; write a number from 0 (any free port) to 65535", quote(text))
	}
	return canonical(text), nil
}

// canonical writes an address in the one way that lets two of them be compared.
func canonical(address string) string {
	host, port, err := net.SplitHostPort(strings.ToLower(address))
	if err != nil {
		return address
	}
	if a, err := netip.ParseAddr(host); err == nil {
		host = a.String()
	}
	return net.JoinHostPort(host, port)
}

func parseAdmin(text string) (string, error) {
	if text == "off" {
		return text, nil
	}
	address, err := parseListen(text)
	if err != nil {
		return "", fmt.Errorf("%w; or off", err)
	}
	return address, nil
}

// parseURL parses a node's URL. Only the address is the gateway's business: the client's own path and query go to the
// node, so a path here could only mislead.
func parseURL(text string) (string, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	scheme = strings.ToLower(scheme)
	address, _, path := cutAny(rest, "/?#")
	usual := map[string]string{"http": "80", "https": "443"}[scheme]
	switch {
	case strings.Contains(text, "@"): // it may hold a password, so it is not shown
		return "", errors.New("a node takes no user and password; write only http://host:port")
	case !ok && isAddress(text):
		return "", fmt.Errorf("%s has no scheme; write http://%s", quote(text), text)
	case !ok:
		return "", fmt.Errorf("%s is not a node's URL; write http://host:port", quote(text))
	case usual == "":
		return "", fmt.Errorf("%s: nodes are spoken to by HTTP or HTTPS, for WebSockets too; write http://%s", quote(text), orExample(address))
	case path:
		return "", fmt.Errorf("%s has more than an address; write %s://%s (the cluster's path is a setting of its own)", quote(text), scheme, orExample(address))
	case isHost(strings.Trim(rest, "[]")) && (!strings.Contains(rest, ":") || strings.HasSuffix(rest, "]")):
		return "", fmt.Errorf("%s has no port; write %s://%s:%s if that is meant", quote(text), scheme, rest, usual)
	case !isAddress(rest):
		return "", fmt.Errorf("%s is not a node's URL; write %s://host:port with a port from 1 to 65535", quote(text), scheme)
	}
	return scheme + "://" + canonical(rest), nil
}

// parseServerName parses what a certificate is for: a host without a port.
func parseServerName(text string) (string, error) {
	if !isHost(text) {
		return "", fmt.Errorf("%s is no host; write a name that stands in the certificates, as chat.internal", quote(text))
	}
	return strings.ToLower(text), nil
}

func cutAny(s, chars string) (before, after string, found bool) {
	if i := strings.IndexAny(s, chars); i >= 0 {
		return s[:i], s[i:], true
	}
	return s, "", false
}

func orExample(address string) string {
	if isAddress(address) {
		return address
	}
	return "host:port"
}

// isAddress reports whether s is a host and a port to dial.
func isAddress(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || !isHost(host) {
		return false
	}
	_, err = whole(1, 65535)(port)
	return err == nil
}

// isHost reports whether s is an IP address or a host name (RFC 1123, and the _ that container networks use).
func isHost(s string) bool {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Zone() == ""
	}
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if !isAlnum(s[i]) && s[i] != '-' && s[i] != '_' {
			return false
		}
	}
	return true
}

// parseHost parses a host that clients ask for.
func parseHost(text string) (string, error) {
	h := strings.ToLower(strings.TrimSuffix(text, "."))
	name := strings.TrimPrefix(h, "*.")
	switch {
	case text == "*" || text == "":
		return "", errors.New("leave host out to serve any host")
	case strings.Contains(text, "://"):
		return "", fmt.Errorf("%s is a URL; write only the host, as chat.example.com", quote(text))
	case strings.HasPrefix(h, "[") && strings.HasSuffix(h, "]") && isHost(h[1:len(h)-1]) && strings.Contains(h, ":"):
		return h, nil
	case isAddress(h):
		host, _, _ := net.SplitHostPort(h)
		return "", fmt.Errorf("%s has a port, and clients may use any; write %s", quote(text), host)
	case strings.Contains(h, ":") && isHost(h):
		return "", fmt.Errorf("%s needs brackets; write \"[%s]\"", quote(text), h)
	case strings.Contains(name, "*"):
		return "", fmt.Errorf("%s: a * may only stand for the first part, as \"*.example.com\"", quote(text))
	case !isHost(name) || strings.Contains(name, "/"):
		return "", fmt.Errorf("%s is no host name; write it in ASCII, as chat.example.com or xn--mnchen-3ya.de", quote(text))
	}
	return h, nil
}

// parseAdminHost parses a host that operators and Prometheus ask for.
func parseAdminHost(text string) (string, error) {
	if text == "*" || text == "" {
		return "", errors.New("all hosts would be a web page's too; name each, as ops.example.com or \"*.example.com\"")
	}
	return parseHost(text)
}

// parsePath parses where a cluster's nodes serve Socket.IO. What needs escapes could be spelt in two ways, and then
// which cluster it reached would depend on the spelling.
func parsePath(text string) (string, error) {
	path := text
	if !strings.HasSuffix(path, "/") {
		path += "/"
	}
	switch {
	case text == "":
		return "", errors.New("the path is empty; write /socket.io/")
	case strings.Contains(text, "://"):
		return "", fmt.Errorf("%s is a URL; write only the path, as /socket.io/", quote(text))
	case !strings.HasPrefix(text, "/"):
		return "", fmt.Errorf("%s does not begin with /; write %s", quote(text), quote("/"+path))
	case strings.Contains(path, "//"), strings.Contains(path, "/./"), strings.Contains(path, "/../"):
		return "", fmt.Errorf("%s has empty or dotted parts; write it out, as /socket.io/", quote(text))
	}
	for i := range len(path) {
		if !isAlnum(path[i]) && strings.IndexByte("/-._~", path[i]) < 0 {
			return "", fmt.Errorf("%s: only letters, digits and -._~/ can stand in a path here, not %q", quote(text), path[i:i+1])
		}
	}
	return path, nil
}

var redisSchemes = []string{"redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"}

// parseRedis checks a Redis URL; the client that opens it reads it again. No message shows the value, which may hold a password.
func parseRedis(text string) (string, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok && !strings.Contains(text, "@") && isAddress(text) {
		return "", fmt.Errorf("%s has no scheme; write redis://%s/0", quote(text), text)
	}
	if !ok || strings.ContainsAny(scheme, ":@") { // a password can stand there by mistake
		return "", errors.New("this is not a Redis URL; write redis://host:6379/0 or redis://:password@host:6379/0")
	}
	if _, err := oneOf(redisSchemes...)(scheme); err != nil {
		return "", fmt.Errorf("the scheme %w", err)
	}
	authority, more, _ := cutAny(rest, "/?#")
	if strings.ContainsAny(more, "#@") {
		return "", errors.New("write / ? # @ in the user or password as %2F %3F %23 %40")
	}
	if strings.Trim(authority[strings.LastIndex(authority, "@")+1:], ",: ") == "" {
		return "", fmt.Errorf("the URL names no server; write %s://host:6379", scheme)
	}
	_, err := redisurl.Parse(text)
	return text, err
}

// parsePrefix parses the start of the keys. Braces are refused: to a Redis cluster they mean that all keys go to one server.
func parsePrefix(text string) (string, error) {
	ok := text != "" && len(text) <= 64
	for i := 0; ok && i < len(text); i++ {
		ok = isAlnum(text[i]) || strings.IndexByte(":._-", text[i]) >= 0
	}
	if !ok {
		return "", fmt.Errorf("%s is no prefix; write up to 64 letters, digits and :._-, as \"sidway:\"", quote(text))
	}
	return text, nil
}
