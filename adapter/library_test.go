package adapter_test

import (
	"fmt"
	"log/slog"
	"reflect"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/sidway/sidway/adapter"
	"github.com/sidway/sidway/adapter/internal/library"
	"github.com/zishang520/socket.io/v2/socket"
)

// TestForeignLibrary makes servers of a socket.io/v2 that is built otherwise, with every adapter: none is made, and the
// message says why.
func TestForeignLibrary(t *testing.T) {
	foreign := library.Met()
	foreign.Socket = reflect.TypeFor[struct{ PID string }]()
	foreign.Build = &debug.BuildInfo{Deps: []*debug.Module{{Path: "github.com/zishang520/socket.io/v2", Version: "v2.9.0"}}}
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer rdb.Close()
	all := constructors(rdb, adapter.Options{})
	all["local"] = adapter.Local
	for kind, make := range all {
		t.Run(kind, func(t *testing.T) {
			c := make()
			adapter.Plant(c, foreign)
			opts := socket.DefaultServerOptions()
			opts.SetAdapter(c)
			defer func() {
				says := fmt.Sprint(recover())
				for _, part := range []string{"v2.9.0", "Socket.pid is missing", "Tested: v2.5.0", "go get"} {
					if !strings.Contains(says, part) {
						t.Errorf("%q does not say %q", says, part)
					}
				}
			}()
			socket.NewServer(nil, opts)
		})
	}
}

// TestUntestedLibrary makes two servers, with two namespaces each, of a version that was not tested: each warns once.
func TestUntestedLibrary(t *testing.T) {
	var log logged
	newer := library.Met()
	newer.Build = &debug.BuildInfo{Deps: []*debug.Module{{Path: "github.com/zishang520/socket.io/v2", Version: "v2.9.0"}}}
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
	defer rdb.Close()
	for range 2 {
		c := adapter.PubSub(rdb, adapter.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		adapter.Plant(c, newer)
		serveHere(t, c).io.Of("/second", nil)
	}
	if log.count("untested version") != 2 || log.count("version=v2.9.0 tested=v2.5.0") != 2 {
		t.Errorf("logged: %s", &log.text)
	}
}
