package adapter_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sidway/sidway/adapter/internal/redistest"
)

// cluster is two servers, a and b, with two reference clients each: a1 and b1 in room "one", a2 and b2 in room "two". The
// operations start at a.
type cluster struct {
	t       *testing.T
	a, b    *proc
	clients *proc
	ids     map[string]string
	round   int
}

// everybody are the clients of a cluster.
var everybody = []string{"a1", "a2", "b1", "b2"}

type m = map[string]any

func newCluster(t *testing.T, kind string, pair [2]string, redisPort int) *cluster {
	t.Helper()
	prefix := strings.ReplaceAll(fmt.Sprintf("%s-%s-%s", kind, pair[0], pair[1]), " ", "")
	kind, mode, _ := strings.Cut(kind, " ")
	options := `{"requestsTimeout":3000}`
	if mode != "" {
		options = fmt.Sprintf(`{"requestsTimeout":3000,"subscriptionMode":%q}`, mode)
	}
	c := &cluster{t: t, ids: map[string]string{}}
	c.a = startServer(t, serverSpec{pair[0], kind, redisPort, prefix, options})
	c.b = startServer(t, serverSpec{pair[1], kind, redisPort, prefix, options})
	c.clients = startClients(t)
	for _, name := range everybody {
		c.connect(name, "/")
		room := "one"
		if name[1] == '2' {
			room = "two"
		}
		c.clients.do(nil, "ask", name, "join", room)
	}
	redistest.Eventually(t, "two servers", func() bool {
		return c.a.do(nil, "serverCount") == 2.0 && c.b.do(nil, "serverCount") == 2.0
	})
	c.settle()
	return c
}

func (c *cluster) server(client string) *proc {
	if client[0] == 'a' {
		return c.a
	}
	return c.b
}

// connect connects a client and returns its socket's id.
func (c *cluster) connect(name, nsp string) string {
	c.t.Helper()
	c.clients.do(nil, "connect", name, c.server(name).url()+nsp, m{
		"transports": []any{"websocket"}, "query": m{"who": name}, "auth": m{"token": "t-" + name},
		"extraHeaders": m{"X-Custom": "x-" + name},
	})
	id, _ := c.clients.await(name, "connect", 1)[0][0].(string)
	c.ids[name] = id
	return id
}

// allHave waits a little until everybody has received the event, and reports whether they have.
func (c *cluster) allHave(name string) bool {
	return c.clients.within(patienceLimit/20, func() bool {
		return !slices.ContainsFunc(everybody, func(n string) bool { return len(c.clients.gotLocked(n, name)) == 0 })
	})
}

// settle returns when what a has sent so far has arrived, by a message behind it.
func (c *cluster) settle() {
	c.t.Helper()
	for {
		c.round++
		name := fmt.Sprintf("settled-%d", c.round)
		c.a.do(m{}, "emit", name)
		if c.allHave(name) {
			return
		}
		if c.round > 100 {
			c.t.Fatal("broadcasts do not arrive")
		}
	}
}

// only checks that exactly the given clients have received the event, once, with these arguments.
func (c *cluster) only(name string, args []any, want ...string) error {
	c.t.Helper()
	for _, client := range want {
		c.clients.await(client, name, 1)
	}
	c.settle()
	for _, client := range everybody {
		got := c.clients.got(client, name)
		if !slices.Contains(want, client) {
			if len(got) != 0 {
				return fmt.Errorf("%s received %v", client, got)
			}
			continue
		}
		if len(got) != 1 || !reflect.DeepEqual(got[0], args) {
			return fmt.Errorf("%s received %v, want once %v", client, got, args)
		}
	}
	return nil
}

// emit is an operation that emits at a and must reach exactly want.
func emit(target m, args []any, want ...string) func(*cluster) error {
	return func(c *cluster) error {
		c.round++
		name := fmt.Sprintf("e-%d", c.round)
		c.a.do(target, "emit", append([]any{name}, args...)...)
		return c.only(name, args, want...)
	}
}

// volatile sends events until everybody has received one: a server may drop it for a client that it is writing to.
func (c *cluster) volatile(args []any, send func(name string)) error {
	c.t.Helper()
	for range 20 {
		c.round++
		name := fmt.Sprintf("v-%d", c.round)
		send(name)
		reached := c.allHave(name)
		c.settle()
		for _, client := range everybody {
			if got := c.clients.got(client, name); len(got) > 1 || len(got) == 1 && !reflect.DeepEqual(got[0], args) {
				return fmt.Errorf("%s received %v, want %v once or not at all", client, got, args)
			}
		}
		if reached {
			return nil
		}
	}
	return errors.New("each of 20 was dropped for somebody")
}

func (c *cluster) emitVolatile() error {
	return c.volatile([]any{"x"}, func(name string) { c.a.do(m{"volatile": true}, "emit", name, "x") })
}

// interop are the operations of a cluster.
var interop = []struct {
	name string
	run  func(*cluster) error
}{
	{"broadcast", emit(m{}, []any{"hello", 1.0}, everybody...)},
	{"room", emit(m{"rooms": []any{"one"}}, []any{"x"}, "a1", "b1")},
	{"rooms", emit(m{"rooms": []any{"one", "two"}}, []any{"x"}, everybody...)},
	{"except", emit(m{"except": []any{"one"}}, []any{"x"}, "a2", "b2")},
	{"room except", emit(m{"rooms": []any{"one", "two"}, "except": []any{"two"}}, []any{"x"}, "a1", "b1")},
	{"volatile", (*cluster).emitVolatile},
	{"local", emit(m{"local": true}, []any{"x"}, "a1", "a2")},
	{"compress", emit(m{"compress": true}, []any{"x"}, everybody...)},
	{"binary", emit(m{}, []any{[]byte{0, 1, 254, 255}}, everybody...)},
	{"binary inside", emit(m{}, []any{m{"a": []any{[]byte("one"), "two"}, "b": []byte{}}}, everybody...)},
	{"values", emit(m{}, []any{
		nil, true, false, 0.0, -1.0, 127.0, 128.0, 65536.0, -129.0, 4294967296.0, 9007199254740991.0, -9007199254740991.0,
		1.5, -0.25, "", "é漢字🎉",
		[]any{},
		m{},
		[]any{nil, []any{m{"k": nil}}},
		m{"nested": m{"list": []any{1.0, "2"}}},
	}, everybody...)},
	{"one socket", (*cluster).oneSocket},
	{"no arguments", emit(m{}, []any{}, everybody...)},
	{"namespace", (*cluster).namespace},
	{"dynamic namespace", (*cluster).dynamic},
	{"socket broadcast", (*cluster).socketBroadcast},
	{"socket to room", (*cluster).socketToRoom},
	{"acknowledged", (*cluster).acknowledged},
	{"acknowledged by a room", (*cluster).acknowledgedByRoom},
	{"acknowledgement times out", (*cluster).acknowledgementTimesOut},
	{"fetchSockets", (*cluster).fetchSockets},
	{"fetchSockets of a room", (*cluster).fetchRoom},
	{"fetchSockets data", (*cluster).fetchData},
	{"fetchSockets handshake", (*cluster).fetchHandshake},
	{"socketsJoin", (*cluster).socketsJoin},
	{"socketsLeave", (*cluster).socketsLeave},
	{"remote socket", (*cluster).remoteSocket},
	{"serverSideEmit", (*cluster).serverSideEmit},
	{"serverSideEmit binary", (*cluster).serverSideEmitBinary},
	{"serverSideEmit acknowledged", (*cluster).serverSideEmitWithAck},
	{"serverCount", (*cluster).serverCount},
	{"allRooms", (*cluster).allRooms},
	{"disconnectSockets", (*cluster).disconnectSockets},
	{"disconnectSockets with connection", (*cluster).disconnectConnections},
}

// nodeFails are the operations in which Node's own adapters fail between two Node servers.
var nodeFails = map[string][]string{
	"pubsub":  {"serverSideEmit binary"}, // sent as JSON, so that a Buffer arrives as an object
	"sharded": {"allRooms"},              // there is no such operation
	"streams": {"allRooms"},
}

func TestInterop(t *testing.T) {
	redis := redistest.Start(t)
	for _, kind := range []string{"pubsub", "sharded", "streams", "sharded static", "sharded dynamic-private"} {
		for _, pair := range [][2]string{{"go", "go"}, {"go", "node"}, {"node", "go"}, {"node", "node"}} {
			name, mode, _ := strings.Cut(kind, " ")
			if mode != "" && pair[0] == pair[1] {
				continue // of the modes of the sharded adapter, only what the other language makes of them
			}
			t.Run(kind+"/"+pair[0]+"-"+pair[1], func(t *testing.T) {
				c := newCluster(t, kind, pair, redis.Port())
				passed := 0
				for _, op := range interop {
					err := op.run(c)
					expected := pair[0] == "node" && slices.Contains(nodeFails[name], op.name)
					switch {
					case err == nil && expected:
						t.Errorf("%s: passes, though Node's adapter is listed as failing", op.name)
					case err != nil && !expected:
						t.Errorf("%s: %v", op.name, err)
					case err == nil:
						passed++
					}
				}
				t.Logf("%d of %d operations", passed, len(interop))
			})
		}
	}
}
