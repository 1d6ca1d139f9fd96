package replica

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"time"

	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/static"
)

// extras are what a cluster has beside its nodes: files, a page, and what is changed in requests.
type extras struct {
	files *static.Server // nil: none
	node  *cluster.Cluster
	route gateway.Route // Static, Files, Maintenance and Headers
}

// mostFiles is how many files of a cluster are served at a time, each with two descriptors that no limit of clients counts.
const mostFiles = 64

// filesTime is how long requests for files may take when their server is replaced.
const filesTime = 10 * time.Second

// newExtras opens what cfg names. The server of files is that of before, if its directories are the same.
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
	if len(cfg.Static) == 0 {
		return x, nil
	}
	if before != nil && reflect.DeepEqual(before.cfg.Static, cfg.Static) {
		x.files, x.node = before.extras.files, before.extras.node
	} else {
		var dirs []static.Dir
		for _, s := range cfg.Static {
			dirs = append(dirs, static.Dir(s))
		}
		if x.files, err = static.Serve(static.Options{Dirs: dirs, Connections: mostFiles, Log: r.log}); err != nil {
			return x, fmt.Errorf("clusters: %s: static: %w", cfg.Name, err)
		}
		x.node = cluster.New(cfg.Name, cluster.Settings{Nodes: []cluster.Config{{Name: "static", Address: x.files.Addr(), Weight: 1}}})
	}
	x.route.Files = x.node
	for _, s := range cfg.Static {
		x.route.Static = append(x.route.Static, s.Prefix)
	}
	return x, nil
}

// close ends the server of files, unless it is another's too.
func (x extras) close(others []*part) {
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
