package config

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// parseDomain parses a host to obtain a certificate for.
func parseDomain(text string) (string, error) {
	host, err := parseHost(text)
	_, ip := netip.ParseAddr(strings.Trim(host, "[]"))
	switch {
	case text == "":
		return "", errors.New("the name is empty; write a host, as chat.example.com")
	case err != nil:
		return "", err
	case strings.HasPrefix(host, "*."):
		return "", fmt.Errorf("%s: for a name with * authorities ask the DNS (DNS-01), which sidway does not do; name each host, or obtain it otherwise and write its files in certificates", quote(text))
	case ip == nil:
		return "", fmt.Errorf("%s is an address; write a host's name", quote(text))
	}
	return host, nil
}

// parseEmail parses where an authority writes to.
func parseEmail(text string) (string, error) {
	name, host, ok := strings.Cut(text, "@")
	if !ok || name == "" || !isHost(host) || strings.ContainsAny(text, " ,;<>:") {
		return "", fmt.Errorf("%s is no address for mail; write it as ops@example.com", quote(text))
	}
	return text, nil
}

// parseDirectory parses the URL of an authority. ACME is spoken over HTTPS alone.
func parseDirectory(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case strings.Contains(text, "@"):
		return "", errors.New("a directory takes no user and password; write eab_kid and eab_hmac for an account")
	case err != nil || u.Scheme != "https" || !isHost(u.Hostname()) || u.Port() != "" && !isAddress(u.Host):
		return "", fmt.Errorf("%s is not an ACME directory's URL; write it as https://acme-v02.api.letsencrypt.org/directory", quote(text))
	}
	return text, nil
}

// parseStorage parses where what was obtained is kept.
func parseStorage(text string) (string, error) {
	info, err := os.Stat(text)
	switch {
	case text == StorageRedis:
		return text, nil
	case text == "":
		return "", errors.New("the name is empty; write redis, or a directory as /var/lib/sidway/acme")
	case err == nil && !info.IsDir():
		return "", fmt.Errorf("%s is a file, not a directory", quote(text))
	case err != nil:
		if up, failed := os.Stat(filepath.Dir(text)); failed != nil || !up.IsDir() {
			return "", absent(filepath.Dir(text), cmp.Or(failed, err))
		}
	}
	return text, nil
}

// parseEABKid parses the name of an account's key.
func parseEABKid(text string) (string, error) {
	if text == "" || strings.ContainsAny(text, " \t") {
		return "", errors.New("this is no key's name; write it as the authority tells it")
	}
	return text, nil
}

// parseEABHMAC parses the key itself. No message shows it.
func parseEABHMAC(text string) (string, error) {
	if b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "=")); err != nil || len(b) == 0 {
		return "", errors.New("this is no key in base64url; write it as the authority tells it")
	}
	return strings.TrimRight(text, "="), nil
}

// redirects reports whether a listener sends clients to https, as those do that answer HTTP-01.
func (l *loader) redirects() bool {
	return slices.ContainsFunc(l.cfg.Listen, func(a Listener) bool { return a.Redirect != "" })
}

// checkACME finds what is only wrong beside something else, and has certificates kept in Redis where that is shared anyway.
func (l *loader) checkACME() {
	a, redis := &l.cfg.TLS.ACME, l.cfg.Affinity.Redis != ""
	if !l.clean("tls.acme") || !l.clean("affinity.redis") {
		return
	}
	if (a.EABKid == "") != (a.EABHMAC == "") {
		l.addAt("tls.acme", "eab_kid and eab_hmac belong together; write both, or none")
	}
	switch {
	case len(a.Domains) == 0 && (a.Email != "" || a.Storage != ""):
		l.addAt("tls.acme.domains", "there are none, so that nothing is obtained; write the hosts, as [chat.example.com]")
	case len(a.Domains) == 0:
	case len(a.Challenges) > 0 && !slices.Contains(a.Challenges, TLSALPN01) && l.clean("listen") && !l.redirects():
		l.addAt("tls.acme.challenges", "http-01 is answered by a listener that redirects, and there is none; write listen: [{address: \":80\", redirect: https}] too, or tls-alpn-01 here")
	case a.Storage == StorageRedis && !redis:
		l.addAt("tls.acme.storage", "there is no Redis; write affinity.redis too, or a directory")
	case a.Storage == "" && redis:
		a.Storage = StorageRedis
	case a.Storage == "":
		l.addAt("tls.acme.storage", "this is missing; write a directory, as /var/lib/sidway/acme: authorities give only a few certificates a week for the same name")
	}
}
