package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os/signal"
	"strings"
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

// add adds --config, and the flags of settings that are wanted.
func (s *settings) add(fs *flag.FlagSet, wanted func(config.Setting) bool) {
	fs.StringVar(&s.file, "config", "", "sidway.yaml")
	s.flags = config.Flags{}
	for _, o := range config.Settings() {
		if !wanted(o) {
			continue
		}
		take := func(text string) error {
			s.flags[o.Flag] = append(s.flags[o.Flag], text)
			return nil
		}
		example, _, _ := strings.Cut(o.Default+o.Sample, ",")
		if o.Switch {
			fs.BoolFunc(o.Flag, example, take)
		} else {
			fs.Func(o.Flag, example, take)
		}
	}
}

// parse reads the flags, and refuses nodes beside a file.
func (s *settings) parse(fs *flag.FlagSet, args []string) (wantsHelp bool, err error) {
	wantsHelp, err = parse(fs, args)
	if err == nil && !wantsHelp && s.file != "" && len(s.flags["node"]) > 0 {
		err = &usageError{text: "give either --config or --node: the nodes stand in the file", help: fs.Name()}
	}
	return wantsHelp, err
}

// every wants all flags.
func every(config.Setting) bool { return true }

func (c command) serve(ctx context.Context, args []string) error {
	var s settings
	fs := flag.NewFlagSet("serve", flag.ContinueOnError)
	s.add(fs, every)
	if wantsHelp, err := s.parse(fs, args); err != nil || wantsHelp {
		return c.helpOr(err, "serve")
	}
	cfg, err := c.load(s)
	if err != nil {
		return err
	}
	signal.Ignore(syscall.SIGPIPE) // whoever read the log may have ended: that is no reason to end the sessions
	lines := newLogQueue(c.stderr, func(lost int64, _ error) ([]byte, bool) {
		var b bytes.Buffer
		slog.New(logHandler(&b, cfg.Log)).Warn("lines of the log are lost: it is not read as fast as it is written", "lines", lost)
		return b.Bytes(), true
	})
	defer lines.close()
	handler := newLogSwitch(logHandler(lines, cfg.Log))
	log := slog.New(handler)
	redis.SetLogger(redisLog{log})
	access := newAccessLog(log, c.stdout)
	defer access.close()
	if err := access.follow(cfg.Log); err != nil {
		return err
	}
	sockets, err := inherited()
	if err != nil {
		return err
	}
	r, err := replica.NewOn(sockets, cfg, log)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w; something has this address already: end it, or choose another address for listen or admin.listen", err)
	case err != nil:
		return err
	}
	r.Version = buildVersion()
	if r.Watchdog, err = watchdog(); err != nil {
		return err
	}
	r.Notify = func(state string) { notify(log, state) }
	r.Access = slog.New(access)
	r.LinesLost = func() (uint64, uint64) { return lines.sum.Load(), access.lost() }
	r.Load = func() (*config.Config, error) {
		cfg, err := c.load(s)
		if err == nil {
			err = mayOpen(cfg.Log)
		}
		return cfg, err
	}
	r.Applied = func(cfg *config.Config) {
		handler.set(logHandler(lines, cfg.Log))
		if err := access.follow(cfg.Log); err != nil {
			log.Error("the access log goes on where it went before", "error", err)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() { c.reload(ctx, r, s.file) })
	work.Go(func() { c.reopen(ctx, access) })
	work.Go(func() { c.handOver(ctx, r, cancel) })
	defer work.Wait()
	defer cancel()
	return r.Run(ctx)
}

// reopen has the access log's file opened anew on each SIGUSR1, until ctx is done.
func (c command) reopen(ctx context.Context, a *accessLog) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.reopens:
			a.reopen()
		}
	}
}

// load reads the settings. What is wrong with them is told line by line, each of which begins with its place.
func (c command) load(s settings) (*config.Config, error) {
	return told(config.LoadWith(s.file, c.env, s.flags))
}

func told[T any](cfg T, err error) (T, error) {
	var problems *config.Error
	if errors.As(err, &problems) {
		err = fmt.Errorf("the settings cannot be used:\n%w", err)
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
