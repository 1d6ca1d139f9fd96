package library_test

import (
	"bytes"
	"log/slog"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/sidway/sidway/adapter/internal/library"
	"github.com/zishang520/engine.io/v2/events"
	"github.com/zishang520/socket.io/v2/socket"
)

func build(deps ...*debug.Module) *debug.BuildInfo { return &debug.BuildInfo{Deps: deps} }

const path = "github.com/zishang520/socket.io/v2"

// copying is an emitter that hands its listeners a copy of the arguments.
type copying struct{ events.EventEmitter }

func (c copying) Emit(name events.EventName, args ...any) {
	c.EventEmitter.Emit(name, slices.Clip(slices.Clone(args))...)
}

// built is a Socket with these fields.
func built(fields ...reflect.StructField) reflect.Type { return reflect.StructOf(fields) }

func field(name string, of reflect.Type) reflect.StructField {
	f := reflect.StructField{Name: name, Type: of}
	if name == "pid" {
		f.PkgPath = "socket"
	}
	return f
}

// TestForeign meets libraries that are built otherwise than the known one.
func TestForeign(t *testing.T) {
	known := library.Met()
	pid := field("pid", reflect.TypeFor[socket.PrivateSessionId]())
	emitter := field("StrictEventEmitter", reflect.TypeFor[*socket.StrictEventEmitter]())
	for _, c := range []struct {
		name string
		lib  library.Library
		says []string
	}{
		{"no pid", library.Library{Socket: built(emitter)}, []string{"Socket.pid is missing"}},
		{
			"another pid",
			library.Library{Socket: built(emitter, field("pid", reflect.TypeFor[int]()))},
			[]string{"Socket.pid is int where socket.PrivateSessionId"},
		},
		{"no emitter", library.Library{Socket: built(pid)}, []string{"Socket.StrictEventEmitter is missing"}},
		{
			"another emitter",
			library.Library{Socket: built(pid, field("StrictEventEmitter", reflect.TypeFor[*bytes.Buffer]()))},
			[]string{"Socket.StrictEventEmitter is *bytes.Buffer"},
		},
		{
			"copied arguments",
			library.Library{Socket: known.Socket, Emitter: copying{events.New()}},
			[]string{"arguments do not reach"},
		},
		{"version", library.Library{
			Socket: built(emitter), Build: build(&debug.Module{Path: path, Version: "v2.6.1"}),
		}, []string{path + " v2.6.1 is not", "Tested: v2.5.0", "go get " + path + "@v2.5.0"}},
		{"no version", library.Library{Socket: built(emitter)}, []string{"the build does not tell", "Tested: v2.5.0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.lib.Check(slog.New(slog.DiscardHandler))
			if err == nil {
				t.Fatal("taken for the known one")
			}
			for _, part := range c.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
}

// TestVersions: one that was not tested is warned of once, and no other is.
func TestVersions(t *testing.T) {
	for _, c := range []struct {
		name  string
		build *debug.BuildInfo
		warns string
	}{
		{"tested", build(&debug.Module{Path: path, Version: "v2.5.0"}), ""},
		{"unknown", nil, ""},
		{"newer", build(&debug.Module{Path: path, Version: "v2.6.1"}), "version=v2.6.1 tested=v2.5.0"},
		{"engine", build(&debug.Module{Path: "github.com/zishang520/engine.io/v2", Version: "v2.4.9"}), "version=v2.4.9 tested=v2.5.0"},
		{"replaced", build(&debug.Module{
			Path: path, Version: "v2.5.0", Replace: &debug.Module{Path: "../fork"},
		}), "version=../fork tested=v2.5.0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log bytes.Buffer
			lib := library.Met()
			lib.Build = c.build
			if err := lib.Check(slog.New(slog.NewTextHandler(&log, nil))); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(log.String(), c.warns) || strings.Count(log.String(), "\n") != min(len(c.warns), 1) {
				t.Errorf("logged %q", log.String())
			}
		})
	}
}
