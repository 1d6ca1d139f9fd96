package discover

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// api asks for the EndpointSlices of a namespace.
type api struct {
	client    *http.Client
	url       *url.URL
	namespace string
	account   string
	inCluster bool
}

// statusError is metav1.Status: what the API says where it does not do what it was asked for.
type statusError struct {
	Code    int
	Message string
	after   time.Duration // how long it wants to be left alone
}

func (s *statusError) Error() string { return fmt.Sprintf("Kubernetes: %d %s", s.Code, s.Message) }

const longestStatus = 64 << 10

// newClient makes a client without HTTP/2: it has one request at a time, and a watch whose peer has gone is ended by the
// kernel's keep-alive. Kubernetes may replace ca.crt, so it is read for each connection.
func (a *api) newClient() *http.Client {
	dialer := net.Dialer{Timeout: 10 * time.Second, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext,
			DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				roots, err := a.roots()
				if err != nil {
					return nil, err
				}
				d := tls.Dialer{NetDialer: &dialer, Config: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
				return d.DialContext(ctx, network, address)
			},
			ResponseHeaderTimeout: listTime,
			IdleConnTimeout:       time.Minute,
		},
	}
}

// roots are the authorities that vouch for the API; nil are the system's.
func (a *api) roots() (*x509.CertPool, error) {
	pem, err := a.file("ca.crt")
	if err != nil || pem == "" {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(pem)) {
		return nil, fmt.Errorf("%s/ca.crt holds no certificate", a.account)
	}
	return pool, nil
}

// file reads a file of the service account. An API that was given by its URL may do without.
func (a *api) file(name string) (string, error) {
	b, err := os.ReadFile(a.account + "/" + name)
	if errors.Is(err, fs.ErrNotExist) && !a.inCluster {
		return "", nil
	}
	return strings.TrimSpace(string(b)), err
}

// get asks for a Service's slices and returns the body of a 200. The token is read each time, because Kubernetes replaces it before
// it expires; it is never sent without TLS.
func (a *api) get(ctx context.Context, service string, query url.Values) (io.ReadCloser, error) {
	query.Set("labelSelector", "kubernetes.io/service-name="+service)
	u := *a.url
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("Kubernetes: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "sidway")
	if u.Scheme == "https" {
		token, err := a.file("token")
		if err != nil {
			return nil, fmt.Errorf("Kubernetes: %w", err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("Kubernetes: %w", plain(err))
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	return nil, a.refusal(resp, query)
}

func (a *api) refusal(resp *http.Response, query url.Values) error {
	s := &statusError{}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, longestStatus))
	if json.Unmarshal(body, s) != nil {
		s.Message = "" // not the API but something in front of it
	}
	s.Code, s.Message = resp.StatusCode, cmp.Or(s.Message, http.StatusText(resp.StatusCode))
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		s.after = min(time.Duration(seconds)*time.Second, time.Minute)
	}
	if s.Code != http.StatusForbidden {
		return s
	}
	verb := "list"
	if query.Has("watch") {
		verb = "watch"
	}
	return fmt.Errorf("Kubernetes does not let this service account %s EndpointSlices in namespace %s: bind it to a Role there with the rule "+
		"{apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]} (%w)", verb, a.namespace, s)
}

// joinHostPort is net.JoinHostPort for a host that may be in brackets already.
func joinHostPort(host, port string) string { return net.JoinHostPort(strings.Trim(host, "[]"), port) }
