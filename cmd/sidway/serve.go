package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os/signal"
	"sync"
	"syscall"

	"github.com/redis/go-redis/v9"

	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/replica"
)

// settings are the flags that tell where the settings are. The usage of a flag is an example of its value.
type settings struct {
	file  string
	flags config.Flags
}

func (s *settings) add(fs *flag.FlagSet) {
	fs.StringVar(&s.file, "config", "", "sidway.yaml")
}

func (s *settings) addServe(fs *flag.FlagSet) {
	s.add(fs)
	several(fs, "node", &s.flags.Nodes, "http://127.0.0.1:3001")
	several(fs, "listen", &s.flags.Listen, ":8080")
	fs.StringVar(&s.flags.Redis, "redis", "", "redis://127.0.0.1:6379/0")
	fs.StringVar(&s.flags.Admin, "admin", "", "127.0.0.1:9090")
	fs.BoolFunc("access-log", "true", func(text string) error {
		s.flags.AccessLog = text
		return nil
	})
}

// several is a flag that may be given more than once.
func several(fs *flag.FlagSet, name string, list *[]string, example string) {
	fs.Func(name, example, func(text string) error {
		*list = append(*list, text)
		return nil
	})
}

func (c command) serve(ctx context.Context, args []string) error {
	var s settings
	fs := flag.NewFlagSet("serve", flag.ContinueOnError)
	s.addServe(fs)
	if wantsHelp, err := parse(fs, args); err != nil || wantsHelp {
		return c.helpOr(err, "serve")
	}
	if s.file != "" && len(s.flags.Nodes) > 0 {
		return &usageError{text: "give either --config or --node: the nodes stand in the file", help: "serve"}
	}
	cfg, err := c.load(s)
	if err != nil {
		return err
	}
	signal.Ignore(syscall.SIGPIPE) // whoever read the log may have ended: that is no reason to end the sessions
	lines := newLogQueue(c.stderr, func(w io.Writer) slog.Handler { return logHandler(w, cfg.Log) })
	defer lines.close()
	log := slog.New(logHandler(lines, cfg.Log))
	redis.SetLogger(redisLog{log})
	r, err := replica.New(cfg, log)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w; something has this address already: end it, or choose another address for listen or admin.listen", err)
	case err != nil:
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() { c.logHangups(ctx, log) })
	defer work.Wait()
	defer cancel()
	return r.Run(ctx)
}

// logHangups tells whoever sent SIGHUP to have the settings read again that they were not, until ctx is done.
func (c command) logHangups(ctx context.Context, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.hangups:
			log.Warn("SIGHUP changes nothing: settings are read only at start, so restart to change them")
		}
	}
}

// load reads the settings. What is wrong with them is told line by line, each of which begins with its place.
func (c command) load(s settings) (*config.Config, error) {
	cfg, err := config.LoadWith(s.file, c.env, s.flags)
	var problems *config.Error
	if errors.As(err, &problems) {
		return nil, fmt.Errorf("the settings cannot be used:\n%w", err)
	}
	return cfg, err
}

func logHandler(w io.Writer, l config.Log) slog.Handler {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "warn": slog.LevelWarn, "error": slog.LevelError}
	o := &slog.HandlerOptions{Level: levels[l.Level]} // info is slog's zero
	if l.Format == "json" {
		return slog.NewJSONHandler(w, o)
	}
	return slog.NewTextHandler(w, o)
}

// redisLog takes what the Redis client says of its connections. The replica itself tells when Redis goes and comes back.
type redisLog struct{ log *slog.Logger }

// Printf implements the client's logging interface.
func (l redisLog) Printf(ctx context.Context, format string, args ...any) {
	l.log.DebugContext(ctx, "redis client: "+fmt.Sprintf(format, args...))
}
