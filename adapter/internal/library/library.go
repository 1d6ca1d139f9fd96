// Package library knows the socket.io/v2 that the adapter mends: which versions it was tested with, and what it uses of
// their insides that no compiler checks.
//
//	if err := library.Met().Check(logger); err != nil {
//		panic(err)
//	}
//
// It mends nothing itself, and it does not see what a version does differently behind the same structure: that is what
// the warning about an untested one is for.
package library

import (
	"fmt"
	"log/slog"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/zishang520/engine.io/v2/events"
	"github.com/zishang520/socket.io/v2/socket"
)

// module is one of the modules whose insides matter, with the versions of it that the tests ran with.
type module struct {
	path   string
	tested []string
}

const root = "github.com/zishang520/socket.io/v2"

var modules = []module{
	{root, []string{"v2.5.0"}},
	{"github.com/zishang520/engine.io/v2", []string{"v2.5.0"}},
	{"github.com/zishang520/socket.io-go-parser/v2", []string{"v2.5.0"}},
	{"github.com/zishang520/engine.io-go-parser", []string{"v1.3.2"}},
}

// inside is a field of a Socket, the Go type that it must have, and what for.
type inside struct {
	path []string
	want reflect.Type
	use  string
}

var insides = []inside{
	{[]string{"pid"}, reflect.TypeFor[socket.PrivateSessionId](), "sessions are recovered by it"},
	{[]string{"StrictEventEmitter"}, reflect.TypeFor[*socket.StrictEventEmitter](), "events are put in order by it"},
	{[]string{"StrictEventEmitter", "EventEmitter"}, reflect.TypeFor[events.EventEmitter](), "events are put in order by it"},
}

// Library is what a program is built with.
type Library struct {
	Socket  reflect.Type        // the struct
	Emitter events.EventEmitter // one without listeners
	Build   *debug.BuildInfo    // nil where it is not known
}

// Met returns the library of this program.
func Met() Library {
	build, _ := debug.ReadBuildInfo()
	return Library{Socket: reflect.TypeFor[socket.Socket](), Emitter: events.New(), Build: build}
}

// Check returns an error where the library is built otherwise than the known one, and warns where its version was not
// tested.
func (l Library) Check(log *slog.Logger) error {
	for _, i := range insides {
		if got := l.field(i.path); got != i.want {
			return l.foreign(fmt.Sprintf("Socket.%s is %s where %v is known (%s)", strings.Join(i.path, "."), name(got), i.want, i.use))
		}
	}
	if !l.carries() {
		return l.foreign("an event's arguments do not reach its listeners as they are (events are put in order behind them)")
	}
	for _, m := range modules {
		if met := l.version(m.path); met != "" && !slices.Contains(m.tested, met) {
			log.Warn("adapter: untested version of the library; run your tests with -race, or require a tested one",
				slog.String("module", m.path), slog.String("version", met), slog.String("tested", strings.Join(m.tested, ", ")))
		}
	}
	return nil
}

// foreign is the error for a library that is built otherwise, with what can be done about it.
func (l Library) foreign(what string) error {
	met := l.version(root)
	if met == "" {
		met = "of a version that the build does not tell"
	}
	tested := modules[0].tested
	return fmt.Errorf("adapter: %s %s is not built like the one that this adapter mends: %s. Tested: %s. "+
		"Run go get %[1]s@%[5]s, or use an adapter that was tested with the newer one",
		root, met, what, strings.Join(tested, ", "), tested[len(tested)-1])
}

// field is the type of a field of a Socket; nil where there is none.
func (l Library) field(path []string) reflect.Type {
	t := l.Socket
	for _, name := range path {
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			return nil
		}
		f, ok := t.FieldByName(name)
		if !ok {
			return nil
		}
		t = f.Type
	}
	return t
}

func name(t reflect.Type) string {
	if t == nil {
		return "missing"
	}
	return t.String()
}

// carries tells whether what stands in the spare capacity of an event's arguments reaches the listeners: the turn of an
// event travels there.
func (l Library) carries() (ok bool) {
	list := []any{"argument", "turn"}
	_ = l.Emitter.On("probe", func(args ...any) { ok = cap(args) == 2 && args[:2][1] == "turn" }) // fails only without a listener
	l.Emitter.Emit("probe", list[:1]...)
	return ok
}

// version is that of a module in this program, or the folder that replaces it; empty where it is not known.
func (l Library) version(path string) string {
	if l.Build == nil {
		return ""
	}
	for _, m := range l.Build.Deps {
		if m.Path != path {
			continue
		}
		if r := m.Replace; r != nil {
			return strings.TrimSpace(r.Path + " " + r.Version)
		}
		return m.Version
	}
	return ""
}

// PID is the private id of a socket, which the library keeps to itself; empty where it has none. Check has seen to it
// that there is one.
func PID(s *socket.Socket) socket.PrivateSessionId {
	return socket.PrivateSessionId(reflect.ValueOf(s).Elem().FieldByName("pid").String())
}
