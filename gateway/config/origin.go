package config

import (
	"fmt"
	"net/url"
	"strings"
)

// parseOrigin parses the origin of a page, or a pattern of origins: see request.Origins.
func parseOrigin(text string) (string, error) {
	if text == "*" || text == "null" {
		return text, nil
	}
	scheme, host, named := strings.Cut(text, "://")
	if !named {
		scheme, host = "https", text
	}
	u, err := url.Parse(scheme + "://" + strings.TrimPrefix(host, "*."))
	if err != nil || u.Host == "" || strings.Contains(u.Host, "*") || u.User != nil || scheme+"://"+u.Host != scheme+"://"+strings.TrimPrefix(host, "*.") {
		return "", fmt.Errorf("%s is not an origin; write https://chat.example.com, chat.example.com:8080, *.example.com or *", quote(text))
	}
	if port := u.Port(); named && (scheme == "https" && port == "443" || scheme == "http" && port == "80") {
		return "", fmt.Errorf("%s has the port that browsers leave out; write %s", quote(text), strings.TrimSuffix(text, ":"+port))
	}
	return text, nil
}
