// Package chat is a node of the demo's chat: a Socket.IO server that any number of its like, in Go or in Node, share one
// Redis with, so that their clients are in the same rooms.
//
//	n, err := chat.New(chat.Options{Name: "n1", Redis: rdb})
//	…
//	http.Serve(listener, n.Handler())
//	err = n.Run(ctx) // until ctx is done
//
// The Socket.IO events are those of demo/page/chat.js, the client: join, message, history, image, read, typing, status,
// cluster, act, phone and beat from it; message, read, typing, rooms, here and redis to it. Requests are acknowledged with
// {ok: true, …} or {ok: false, error, retry}.
//
// A session may go on at another node of the cluster, and its client does not notice: the adapter keeps the client's
// rooms and data in Redis, and the node where it goes on tells the client where it is ("here").
//
// A message is acknowledged when it is in the room's log, and only then. Broadcasts through the adapter make the chat
// quick, but nothing relies on them: each node tells its clients every second where the logs end, and a client that lacks
// something asks for it.
package chat

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/redis/go-redis/v9"
	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io/v2/socket"
	"golang.org/x/sync/errgroup"

	"github.com/sidway/sidway/adapter"
	"github.com/sidway/sidway/demo/page"
	"github.com/sidway/sidway/demo/rooms"
)

const (
	// MaxImage is the size in bytes above which an image is refused.
	MaxImage = 1 << 20
	// MaxBody has room for such an image in base64, as polling carries it, with what is around it. The gateway's limit
	// for a POST must not be below.
	MaxBody = 2 << 20

	reportEvery = 3 * time.Second
	lookEvery   = time.Second
	awayMost    = 2 * time.Minute // for which a session is kept whose client or node is gone
	storeLimit  = 3 * time.Second // for one request to Redis
)

// Options says what a node is called and what it works with.
type Options struct {
	Name     string                // of the node, as the gateways know it too
	Redis    redis.UniversalClient // stays the caller's to close
	Rooms    rooms.Options
	Replicas []Replica    // the gateways before it, so that it can tell clients which one serves them
	Lookup   Lookup       // finds the addresses of a replica's host; nil for the system's resolver
	Control  *Control     // what obeys the panel's buttons; nil where there is nothing to be broken
	Log      *slog.Logger // nil for none
	// Pings of the Socket.IO server; zero for the library's own.
	PingInterval, PingTimeout time.Duration
}

// Node is a chat node.
type Node struct {
	opts   Options
	log    *slog.Logger
	rooms  *rooms.Rooms
	io     *socket.Server
	engine http.Handler // of io
	via    *via
	nudge  chan struct{} // asks for a look before its time
	come   chan struct{} // and for a report

	mu      sync.Mutex
	clients map[*client]struct{}

	view view
}

// New makes a node. It talks to Redis from now on, and serves when its Handler is mounted and Run runs.
func New(o Options) (*Node, error) {
	if o.Name == "" || o.Redis == nil {
		return nil, errors.New("chat: a node needs a name and a Redis")
	}
	if o.Lookup == nil {
		o.Lookup = net.DefaultResolver.LookupHost
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	n := &Node{opts: o, log: o.Log, rooms: rooms.New(o.Redis, o.Rooms), clients: map[*client]struct{}{}, nudge: make(chan struct{}, 1), come: make(chan struct{}, 1)}
	n.via = &via{replicas: o.Replicas, lookup: o.Lookup, last: map[string]hop{}, names: map[hop]string{}}
	opts := socket.DefaultServerOptions()
	opts.SetServeClient(false)
	opts.SetMaxHttpBufferSize(MaxBody)
	opts.SetAllowRequest(sameOrigin)
	if o.PingInterval > 0 {
		opts.SetPingInterval(o.PingInterval)
	}
	if o.PingTimeout > 0 {
		opts.SetPingTimeout(o.PingTimeout)
	}
	adapter.Harden(opts)
	opts.SetConnectionStateRecovery(recovery())
	opts.SetAdapter(adapter.Streams(o.Redis, adapter.Options{
		Prefix: "demo", Stream: Stream, SessionPrefix: SessionPrefix, Logger: o.Log,
	}))
	n.io = socket.NewServer(nil, opts)
	n.engine = n.via.note(adapter.Handler(n.io))
	if err := n.via.watch(n.io.Engine()); err != nil {
		return nil, err
	}
	if err := n.io.On("connection", func(args ...any) { n.connected(args[0].(*socket.Socket)) }); err != nil {
		return nil, err
	}
	return n, nil
}

// Where the adapters keep the events and the sessions, so that sidway can move them: `stream` and `prefix` of its
// `sessions`.
const (
	Stream        = "demo:stream"
	SessionPrefix = "demo:session:"
)

func recovery() *socket.ConnectionStateRecovery {
	r := &socket.ConnectionStateRecovery{}
	r.SetMaxDisconnectionDuration(awayMost.Milliseconds())
	return r
}

// sameOrigin refuses pages of other sites, which may neither read this chat nor press its buttons. CORS does not do
// that, because it does not hold for WebSockets.
func sameOrigin(ctx *types.HttpContext) error {
	r := ctx.Request()
	origin := r.Header.Get("Origin")
	if origin == "" || origin == "http://"+r.Host || origin == "https://"+r.Host {
		return nil
	}
	return errors.New("a page of another site")
}

// Handler serves the page, its Socket.IO and /healthz.
func (n *Node) Handler() http.Handler {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Any("/socket.io/*any", gin.WrapH(n.engine))
	r.GET("/healthz", func(c *gin.Context) { c.String(http.StatusOK, "ok\n") })
	r.NoRoute(gin.WrapH(page.Handler()))
	return r
}

// Run reports who is here and watches the rooms until ctx is done. Then it takes leave and disconnects its clients.
func (n *Node) Run(ctx context.Context) error {
	var work errgroup.Group
	work.Go(func() error { n.every(ctx, reportEvery, n.come, n.report); return nil })
	work.Go(func() error { n.every(ctx, lookEvery, n.nudge, n.look); return nil })
	work.Go(func() error { n.every(ctx, lookEvery, nil, n.via.look); return nil })
	err := work.Wait()
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if lerr := n.rooms.Leave(leaving, n.members()); lerr != nil {
		n.log.Warn("could not take leave", "error", lerr)
	}
	n.io.Close(nil)
	return err
}

// every calls do now and then and when it is asked to, each time with a limit, until ctx is done.
func (n *Node) every(ctx context.Context, period time.Duration, asked <-chan struct{}, do func(context.Context)) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		limited, cancel := context.WithTimeout(ctx, storeLimit)
		do(limited)
		cancel()
		select {
		case <-tick.C:
		case <-asked:
		case <-ctx.Done():
			return
		}
	}
}

// report tells the other nodes who is here.
func (n *Node) report(ctx context.Context) {
	if err := n.rooms.Report(ctx, n.self(), n.members()); err != nil && ctx.Err() == nil {
		n.log.Debug("could not report", "error", err)
	}
	n.lookSoon()
}

func (n *Node) self() rooms.Node { return rooms.Node{Name: n.opts.Name, Kind: "go"} }

// members lists the clients of this node that are in a room.
func (n *Node) members() []rooms.Member {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := make([]rooms.Member, 0, len(n.clients))
	for c := range n.clients {
		if m := c.member(); m.Room != "" {
			list = append(list, m)
		}
	}
	return list
}

// context bounds one request to Redis on behalf of a client.
func (n *Node) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), storeLimit)
}
