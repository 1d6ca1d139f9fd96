package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// maxMaintenance bounds the page for the time without nodes, which is kept in memory.
const maxMaintenance = 1 << 20

// checkPrefix says what is wrong with a prefix below which files are served.
func checkPrefix(text string) error {
	path, err := parsePath(text)
	if err == nil && path != text {
		err = fmt.Errorf("%s does not end with /; write %s", quote(text), quote(path))
	}
	return err
}

// parseDir parses a directory that is there. A relative one is seen from the working directory.
func parseDir(text string) (string, error) {
	info, err := os.Stat(text)
	switch {
	case text == "":
		return "", errors.New("the directory is empty; write it as ./public")
	case err != nil:
		return "", absent(text, err)
	case !info.IsDir():
		return "", fmt.Errorf("%s is a file, not a directory; write the directory that it is in", quote(text))
	}
	return text, nil
}

// parseMaintenance parses a file that can be read.
func parseMaintenance(text string) (string, error) {
	info, err := os.Stat(text)
	switch {
	case text == "":
		return "", errors.New("the name is empty; write a file's, or leave the key out")
	case err != nil:
		return "", absent(text, err)
	case !info.Mode().IsRegular(): // to open a pipe would block
		return "", fmt.Errorf("%s is not a file; write an HTML file", quote(text))
	case info.Size() > maxMaintenance:
		return "", fmt.Errorf("%s has %d bytes; write a file of up to 1 MiB", quote(text), info.Size())
	}
	f, err := os.Open(text)
	if err != nil {
		return "", absent(text, err)
	}
	return text, f.Close()
}

// parseLogFile parses where a log goes: to standard output or a file, whose directory is there.
func parseLogFile(text string) (string, error) {
	dir := filepath.Dir(text)
	info, err := os.Stat(text)
	place, absence := os.Stat(dir)
	switch {
	case text == Stdout:
		return text, nil
	case text == "" || strings.HasSuffix(text, "/"):
		return "", fmt.Errorf("%s is no file's name; write stdout, or a file as /var/log/sidway/access.log", quote(text))
	case text == "stderr":
		return "", errors.New("the log goes to stderr; write access_log: true for lines in the log, or stdout or a file here")
	case absence != nil:
		return "", absent(dir, absence)
	case !place.IsDir():
		return "", fmt.Errorf("%s is a file, not a directory", quote(dir))
	case err == nil && !info.Mode().IsRegular(): // to open a pipe would block
		return "", fmt.Errorf("%s is not a file; write stdout, or a file as /var/log/sidway/access.log", quote(text))
	}
	return text, nil
}

// parseCollector parses where traces are sent. Headers that hold a password come by OTEL_EXPORTER_OTLP_HEADERS.
func parseCollector(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case strings.Contains(text, "@"):
		return "", errors.New("a collector takes no user and password here; set OTEL_EXPORTER_OTLP_HEADERS")
	case isAddress(text):
		return "", fmt.Errorf("%s has no scheme; write http://%s", quote(text), text)
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || !isHost(u.Hostname()) || u.Port() != "" && !isAddress(u.Host):
		return "", fmt.Errorf("%s is not a collector's URL; write it as http://127.0.0.1:4318", quote(text))
	case u.Port() == "4317":
		return "", fmt.Errorf("%s is where collectors take OTLP over gRPC; write the port for HTTP, which is 4318 as a rule", quote(text))
	}
	return text, nil
}

// absent says why a path cannot be used, and from where a relative one was seen.
func absent(path string, err error) error {
	reason := errors.Unwrap(err)
	if reason == nil {
		reason = err
	}
	text := fmt.Sprintf("%s cannot be read: %v", quote(path), reason)
	if dir, here := os.Getwd(); here == nil && !strings.HasPrefix(path, "/") && errors.Is(err, fs.ErrNotExist) {
		text += "; it is seen from the working directory, " + quote(dir)
	}
	return errors.New(text)
}

// parseProbe parses the path and query of a health check.
func parseProbe(text string) (string, error) {
	switch {
	case strings.Contains(text, "://"):
		return "", fmt.Errorf("%s is a URL; write only the path, as /healthz: each node is asked at its own address", quote(text))
	case !strings.HasPrefix(text, "/"):
		return "", fmt.Errorf("%s does not begin with /; write %s", quote(text), quote("/"+text))
	}
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' || text[i] == '#' {
			return "", fmt.Errorf("%s: %q cannot stand in a path; write it with %% escapes, or as /healthz", quote(text), text[i:i+1])
		}
	}
	return text, nil
}

// parseDNS parses a host to look up, and the port of all that is found.
func parseDNS(text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	name := strings.TrimSuffix(host, ".")
	_, ip := netip.ParseAddr(host)
	switch {
	case strings.Contains(text, "://"):
		return "", fmt.Errorf("%s is a URL; write only host:port, as chat:3000", quote(text))
	case err != nil && isHost(strings.TrimSuffix(text, ".")):
		return "", fmt.Errorf("%s has no port, and A and AAAA records hold none; write %s:3000, or srv where SRV records hold it", quote(text), text)
	case err != nil || !isAddress(net.JoinHostPort(name, port)):
		return "", fmt.Errorf("%s is not host:port; write it as chat:3000", quote(text))
	case ip == nil:
		return "", fmt.Errorf("%s is an address, which needs no look-up; write it in nodes", quote(text))
	}
	return text, nil
}

// parseSRV parses the name of SRV records.
func parseSRV(text string) (string, error) {
	name := strings.TrimSuffix(text, ".")
	_, ip := netip.ParseAddr(name)
	switch {
	case strings.Contains(text, "://"):
		return "", fmt.Errorf("%s is a URL; write only the name, as _sio._tcp.chat", quote(text))
	case isAddress(name):
		return "", fmt.Errorf("%s has a port, and SRV records hold their own; write the name alone, or dns", quote(text))
	case !isHost(name) || ip == nil:
		return "", fmt.Errorf("%s is no name of SRV records; write it as _sio._tcp.chat", quote(text))
	}
	return text, nil
}

// parseKubeName parses the name of an object in Kubernetes (RFC 1123, a label).
func parseKubeName(text string) (string, error) {
	if !isLabel(text) || strings.ToLower(text) != text || strings.Contains(text, "_") {
		return "", fmt.Errorf("%s is no name in Kubernetes; write up to 63 small letters, digits and dashes, as chat", quote(text))
	}
	return text, nil
}

// parseKubePort parses a port of a Service, by name or number.
func parseKubePort(text string) (string, error) {
	if _, err := whole(1, 65535)(text); err == nil {
		return text, nil
	}
	if _, err := parseKubeName(text); err != nil || len(text) > 15 || isDigits(text) {
		return "", fmt.Errorf("%s is no port of a Service; write its name, as http, or a number from 1 to 65535", quote(text))
	}
	return text, nil
}

// parseAPI parses the address of Kubernetes' API. No message shows it while it may hold a password.
func parseAPI(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case strings.Contains(text, "@"):
		return "", errors.New("the API takes no user and password here; write only https://host:port")
	case isAddress(text):
		return "", fmt.Errorf("%s has no scheme; write https://%s", quote(text), text)
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || !isHost(u.Hostname()):
		return "", fmt.Errorf("%s is not the API's URL; write it as https://host:6443", quote(text))
	case u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(text, "?#"):
		return "", fmt.Errorf("%s has a query; write only https://host:6443", quote(text))
	case u.Port() != "" && !isAddress(u.Host):
		return "", fmt.Errorf("%s has no valid port; write a number from 1 to 65535", quote(text))
	}
	return strings.TrimSuffix(text, "/"), nil
}
