package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sidway/sidway/gateway/api"
	"github.com/sidway/sidway/gateway/config"
)

// remoteTime bounds one question to a replica, as a rule.
const remoteTime = 10 * time.Second

// remote is a running replica, asked at its admin address.
type remote struct {
	address, token string
	unread         error // why the token in the settings is not known
	client         *http.Client
	within         time.Duration // bounds one question
}

// addRemote adds the flags by which a replica is found: it is found in the settings.
func (s *settings) addRemote(fs *flag.FlagSet) {
	s.add(fs, func(o config.Setting) bool { return o.Key == config.AdminListen || o.Key == config.AdminToken })
}

// remote returns the replica that the settings name. Who changes nothing may do without the token on the replica's own machine, where
// not everybody who looks at a replica may read its secrets.
func (c command) remote(s settings, changes bool) (*remote, error) {
	admin, err := told(config.LoadAdmin(s.file, c.env, s.flags, config.AdminListen, config.AdminToken))
	var unread error
	if err != nil && !changes {
		unread = err
		admin, err = told(config.LoadAdmin(s.file, c.env, s.flags, config.AdminListen))
	}
	if err != nil {
		return nil, err
	}
	if admin.Off() {
		return nil, errors.New("admin.listen is off, so there is no address to ask")
	}
	return &remote{admin.Listen, admin.Token, unread, &http.Client{Transport: direct(admin.Listen)}, remoteTime}, nil
}

// direct connects to address whatever is asked for, and by no proxy whatever the environment says. An unspecified address means this
// machine.
func direct(address string) *http.Transport {
	var d net.Dialer
	return &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return d.DialContext(ctx, network, address)
	}}
}

// ask sends a request, with a body unless it is nil, and reads the answer into what into points at.
func (r *remote) ask(ctx context.Context, method, path string, body, into any) error {
	_, err := r.read(ctx, method, path, body, into)
	return err
}

// read is ask, and returns the answer as it came too.
func (r *remote) read(ctx context.Context, method, path string, body, into any) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, r.within)
	defer cancel()
	res, err := r.open(ctx, method, path, "application/json", body)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return nil, err
	}
	if json.Unmarshal(text, into) != nil || !ours(into) {
		return nil, stranger(r.address, res.Status, text)
	}
	return text, nil
}

// ours reports whether an answer holds what is in each of a replica.
func ours(answer any) bool {
	switch v := answer.(type) {
	case *api.Status:
		return len(v.Replicas) > 0
	case *api.Cluster:
		return v.Name != "" && v.Path != ""
	case *api.Node:
		return v.Name != "" && v.Address != ""
	case *api.Trace:
		return v.SID != ""
	case *api.Move:
		return v.Outcome != ""
	case *api.Done:
		return v.Done
	}
	return false
}

// stranger is what is wrong where somebody else than a replica has answered.
func stranger(address, status string, said []byte) error {
	return fmt.Errorf("no replica's admin address answers at %s: is it the address in admin.listen, and not that of clients? It says %s, %.200q",
		address, status, bytes.TrimSpace(said))
}

// open sends a request and returns its answer, whose body is to be closed. An answer that is none of 200, or of another kind, is an error.
func (r *remote) open(ctx context.Context, method, path, kind string, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	q, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, content)
	if err != nil {
		return nil, err
	}
	if r.token != "" {
		q.Header.Set("Authorization", "Bearer "+r.token)
	}
	res, err := r.client.Do(q)
	if err != nil {
		return nil, fmt.Errorf("no replica answers at %s: %w", r.address, errors.Unwrap(err))
	}
	said, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if res.StatusCode == http.StatusOK && said == kind {
		return res, nil
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	var f api.Failure
	if err = stranger(r.address, res.Status, text); res.StatusCode != http.StatusOK && json.Unmarshal(text, &f) == nil && f.Error != "" {
		err = fmt.Errorf("%s: %s", res.Status, f.Error)
	}
	if res.StatusCode == http.StatusUnauthorized && r.unread != nil {
		err = fmt.Errorf("%w; %w", err, r.unread)
	}
	return nil, err
}

// onlyCluster returns the cluster's name where there is only one.
func (r *remote) onlyCluster(ctx context.Context) (string, error) {
	var s api.Status
	if err := r.ask(ctx, http.MethodGet, "/api/status", nil, &s); err != nil {
		return "", err
	}
	var names []string
	for _, c := range s.Clusters {
		names = append(names, c.Name)
	}
	if len(names) != 1 {
		return "", &usageError{text: fmt.Sprintf("there are clusters %s; say which, as --cluster %s", strings.Join(names, ", "), names[0]), help: "release"}
	}
	return names[0], nil
}

// clusterOf returns the only cluster that has a node of that name.
func (r *remote) clusterOf(ctx context.Context, node string) (string, error) {
	var s api.Status
	if err := r.ask(ctx, http.MethodGet, "/api/status", nil, &s); err != nil {
		return "", err
	}
	var in, all []string
	for _, c := range s.Clusters {
		for _, n := range c.Nodes {
			if all = append(all, n.Name); n.Name == node {
				in = append(in, c.Name)
			}
		}
	}
	slices.Sort(all)
	switch len(in) {
	case 0:
		return "", &usageError{text: unknown("node ", node, slices.Compact(all)), help: "drain"}
	case 1:
		return in[0], nil
	}
	return "", &usageError{text: fmt.Sprintf("clusters %s have a node %s; say which, as --cluster %s", strings.Join(in, ", "), node, in[0]), help: "drain"}
}
