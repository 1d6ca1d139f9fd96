package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/sidway/sidway/demo/chat"
	"github.com/sidway/sidway/demo/launch"
	"github.com/sidway/sidway/demo/rooms"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/replica"
)

// parseRedis reads the URL of the Redis that all nodes use.
func parseRedis(url string) (*redis.Options, error) {
	options, err := redis.ParseURL(url)
	if err != nil { // whose own words may hold the password
		return nil, errors.New("--redis or REDIS_URL: not a redis:// URL of one server, as redis://127.0.0.1:6379/0")
	}
	return options, nil
}

// runNode is one chat node, until ctx is done.
func runNode(ctx context.Context, s settings, log *slog.Logger) error {
	if s.redis == "" {
		return errors.New("--node-only needs --redis or REDIS_URL")
	}
	options, err := parseRedis(s.redis)
	if err != nil {
		return err
	}
	if s.listen == "" {
		return errors.New("--node-only needs --listen, as --listen 127.0.0.1:3001")
	}
	options.MaxRetries, options.DialerRetries = -1, 1
	options.DialTimeout, options.ReadTimeout, options.WriteTimeout = 2*time.Second, 3*time.Second, 3*time.Second
	options.ContextTimeoutEnabled = true
	rdb := redis.NewClient(options)
	defer rdb.Close()
	o := chat.Options{Name: s.name, Redis: rdb, Rooms: rooms.Options{Messages: s.history}, Log: log}
	for _, text := range s.replicaList {
		known, err := chat.ParseReplica(text)
		if err != nil {
			return fmt.Errorf("--replica: %w", err)
		}
		o.Replicas = append(o.Replicas, known)
	}
	if url := os.Getenv("SIDWAY_DEMO_CONTROL"); url != "" {
		o.Control = &chat.Control{URL: url, Token: os.Getenv("SIDWAY_DEMO_TOKEN")}
	}
	node, err := chat.New(o)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", s.listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{
		Handler: node.Handler(), ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	var work errgroup.Group
	work.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	err = node.Run(ctx)
	server.Close()
	return errors.Join(err, work.Wait())
}

// runReplica is one sidway replica, the same that cmd/sidway runs, until ctx is done.
func runReplica(ctx context.Context, s settings, log *slog.Logger) error {
	cfg := config.Default()
	cfg.Listen = []config.Listener{{Address: s.listen}}
	cfg.Admin.Listen, cfg.Admin.Token = s.admin, os.Getenv("SIDWAY_DEMO_TOKEN")
	cfg.Affinity.Redis = s.redis
	cfg.Shutdown = config.Shutdown{Notice: 100 * time.Millisecond, Deadline: 3 * time.Second, Waves: 3}
	c := config.Cluster{Name: launch.Cluster, Path: "/socket.io/", Balance: config.LeastSessions, MaxBody: chat.MaxBody}
	c.Sessions = &config.Sessions{Move: true, Recovery: "streams", Redis: s.redis, Stream: chat.Stream, Prefix: chat.SessionPrefix}
	for _, text := range s.nodeList {
		name, url, ok := strings.Cut(text, "=")
		if !ok {
			return fmt.Errorf("--node: %q is not name=http://host:port", text)
		}
		c.Nodes = append(c.Nodes, config.Node{Name: name, URL: url, Weight: 1})
	}
	cfg.Clusters = []config.Cluster{c}
	r, err := replica.New(cfg, log)
	if err != nil {
		return err
	}
	return r.Run(ctx)
}
