package replica

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/recovery"
	"github.com/sidway/sidway/gateway/static"
)

// extras are what a cluster has beside its nodes: files, a page, and what is changed in requests.
type extras struct {
	files *static.Server // nil: none
	dirs  []static.Dir
	node  *cluster.Cluster
	route gateway.Route   // Static, Files, Maintenance, Headers, Auth and Recovery
	tls   *nodeTLS        // with nodes; nil: as the system has it
	moves config.Sessions // by which route.Recovery was opened
}

// mostFiles is how many files of a cluster are served at a time, each with two descriptors beside those of its client.
const mostFiles = 256

// filesTime is how long requests for files may take when their server is replaced.
const filesTime = 10 * time.Second

// newExtras opens what cfg names. The server of files is that of before, if there is one; it serves
// other directories when they are used.
func (r *Replica) newExtras(cfg config.Cluster, before *part) (x extras, err error) {
	if cfg.Maintenance != "" {
		page, err := os.ReadFile(cfg.Maintenance)
		if err != nil {
			return x, fmt.Errorf("clusters: %s: maintenance: %w", cfg.Name, err)
		}
		x.route.Maintenance = string(page)
	}
	var set []gateway.Header
	for _, h := range cfg.Headers.Set {
		set = append(set, gateway.Header(h))
	}
	if len(set)+len(cfg.Headers.Remove) > 0 {
		if x.route.Headers, err = gateway.NewHeaders(set, cfg.Headers.Remove); err != nil {
			return x, fmt.Errorf("clusters: %s: request_headers: %w", cfg.Name, err)
		}
	}
	var known *nodeTLS
	if before != nil {
		known = before.extras.tls
	}
	if x.tls, err = newNodeTLS(cfg.NodeTLS, known); err != nil {
		return x, fmt.Errorf("clusters: %s: node_tls: %w", cfg.Name, err)
	}
	if err = x.openRecovery(cfg, before, r.log); err != nil {
		return x, fmt.Errorf("clusters: %s: sessions.redis: %w", cfg.Name, err)
	}
	defer func() {
		if err == nil {
			x.route.Auth = r.newAuth(cfg, before)
		}
	}()
	if len(cfg.Static) == 0 {
		return x, nil
	}
	for _, s := range cfg.Static {
		x.dirs = append(x.dirs, static.Dir(s))
	}
	if before != nil && before.extras.files != nil {
		x.files, x.node = before.extras.files, before.extras.node
		err = static.Check(x.dirs)
	} else if x.files, err = static.Serve(static.Options{Dirs: x.dirs, Connections: mostFiles, Log: r.log}); err == nil {
		x.node = cluster.New(cfg.Name, cluster.Settings{Nodes: []cluster.Config{{Name: "static", Address: x.files.Addr(), Weight: 1}}})
	}
	if err != nil {
		return x, fmt.Errorf("clusters: %s: static: %w", cfg.Name, err)
	}
	x.route.Files = x.node
	for _, s := range cfg.Static {
		x.route.Static = append(x.route.Static, s.Prefix)
	}
	return x, nil
}

// openRecovery opens what sessions that move are looked for in, unless it is open.
func (x *extras) openRecovery(cfg config.Cluster, before *part, log *slog.Logger) error {
	if cfg.Sessions == nil || !cfg.Sessions.Move {
		return nil
	}
	x.moves = *cfg.Sessions
	if before != nil && before.extras.moves == x.moves {
		x.route.Recovery = before.extras.route.Recovery
		return nil
	}
	client, err := affinity.Open(x.moves.Redis)
	if err != nil {
		return err
	}
	x.route.Recovery = recovery.New(client, x.moves.Stream, x.moves.Prefix)
	if err = greet(client); err != nil && before == nil {
		log.Warn("the Redis of sessions.redis cannot be used, so live sessions are not moved until it can", "cluster", cfg.Name, "error", err)
		return nil
	}
	return err
}

// use has the server of files serve what the configuration says, which has been looked at.
func (x extras) use(log *slog.Logger) {
	if x.files != nil {
		if err := x.files.Update(x.dirs); err != nil {
			log.Error("files are served as before", "error", err)
		}
	}
}

// close ends the server of files and the gate, unless they are another's too.
func (x extras) close(others []*part) {
	if a := x.route.Auth; a != nil && !slices.ContainsFunc(others, func(p *part) bool { return p.extras.route.Auth == a }) {
		a.Gate.Close()
	}
	if m := x.route.Recovery; m != nil && !slices.ContainsFunc(others, func(p *part) bool { return p.extras.route.Recovery == m }) {
		_ = m.Close()
	}
	for _, p := range others {
		if p.extras.files == x.files {
			return
		}
	}
	if x.files != nil {
		ctx, cancel := context.WithTimeout(context.Background(), filesTime)
		defer cancel()
		x.files.Close(ctx)
	}
}
