package gateway_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/redis/go-redis/v9"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/recovery"
)

// restorer is a Socket.IO node of one namespace as far as its sessions' recovery goes: it keeps and restores them as
// @socket.io/redis-streams-adapter does, and can be told to do so badly.
type restorer struct {
	t      testing.TB
	name   string
	server *httptest.Server
	redis  *redis.Client

	mu      sync.Mutex
	faults  restorerFaults
	sockets map[*socket]bool
	polled  map[string]*socket // those that poll, by sid
	got     []string           // events of clients
	acked   []string           // acknowledgements of clients
	pongs   int                // of clients
	work    sync.WaitGroup
}

// restorerFaults are what a node does wrong.
type restorerFaults struct {
	refuses bool          // WebSockets
	cuts    bool          // all that it is asked
	deaf    bool          // reads nothing more
	forgets bool          // keeps no session
	plain   bool          // restores none, and says so
	keeps   bool          // keeps sessions from their beginning
	late    time.Duration // until it keeps a session
	denies  bool          // CONNECTs
	hides   bool          // what comes by the stream
	lags    time.Duration // behind the stream
	beats   time.Duration // of its sessions, instead of 25 s
}

// socket is a session that a node has.
type socket struct {
	*websocket.Conn             // nil: it polls
	queue           chan string // for its polls
	polls, posts    atomic.Int32
	sid, pid        string
	mu              sync.Mutex
}

func (s *socket) say(format string, args ...any) {
	if s.Conn == nil {
		s.queue <- fmt.Sprintf(format, args...)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.Write(context.Background(), websocket.MessageText, fmt.Appendf(nil, format, args...))
}

// startRestorers starts nodes n1, n2… that share a Redis, and a gateway that moves their sessions.
func startRestorers(t *testing.T, count int, options ...func(*gateway.Route)) (*site, *affinitytest.Redis, []*restorer) {
	t.Helper()
	server := affinitytest.StartRedis(t)
	var nodes []*restorer
	var configs []cluster.Config
	for i := range count {
		n := &restorer{t: t, name: fmt.Sprintf("n%d", i+1), redis: server.Client(), sockets: map[*socket]bool{}, polled: map[string]*socket{}}
		n.server = httptest.NewUnstartedServer(n)
		if encrypted {
			n.server.TLS = serverTLS.Clone()
			n.server.StartTLS()
		} else {
			n.server.Start()
		}
		ctx, cancel := context.WithCancel(context.Background())
		n.work.Go(func() { n.follow(ctx) })
		t.Cleanup(func() {
			cancel()
			n.crash()
			n.server.Close()
			n.work.Wait()
		})
		nodes = append(nodes, n)
		configs = append(configs, cluster.Config{Name: n.name, Address: n.server.Listener.Addr().String(), Weight: 1, TLS: nodeTLS()})
	}
	store := recovery.New(server.Client(), "socket.io", "sio:session:")
	r := gateway.Route{Path: "/socket.io/", Recovery: store, Cluster: cluster.New("c1", cluster.Settings{Method: cluster.RoundRobin, Nodes: configs})}
	for _, option := range options {
		option(&r)
	}
	s := startGateway(t, func(o *siteOptions) { o.routes = append(o.routes, r) })
	return s, server, nodes
}

func (n *restorer) is(change func(*restorerFaults)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change(&n.faults)
}

func (n *restorer) fault() restorerFaults {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.faults
}

// crash cuts all WebSockets without a word.
func (n *restorer) crash() {
	n.mu.Lock()
	all := n.sockets
	n.sockets, n.polled = map[*socket]bool{}, map[string]*socket{}
	n.mu.Unlock()
	for s := range all {
		if s.Conn != nil {
			s.CloseNow()
		}
	}
}

// restart is the end of its process and the beginning of another one.
func (n *restorer) restart() {
	n.is(func(f *restorerFaults) { f.cuts = true })
	n.crash()
	n.server.CloseClientConnections()
	n.is(func(f *restorerFaults) { f.cuts = false })
}

// die is the end of its process.
func (n *restorer) die() {
	n.server.Listener.Close()
	n.restart()
}

// acks returns the acknowledgements that clients have given it.
func (n *restorer) acks() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.acked)
}

// tell sends all its clients a message.
func (n *restorer) tell(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for s := range n.sockets {
		s.say("%s", text)
	}
}

// events returns what clients have sent it.
func (n *restorer) events() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.got)
}

// ping pings all its sessions.
func (n *restorer) ping() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for s := range n.sockets {
		s.say("2")
	}
}

func (n *restorer) heard() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.pongs
}

func (n *restorer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if n.fault().cuts {
		panic(http.ErrAbortHandler)
	}
	if n.fault().refuses {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if r.FormValue("transport") == "polling" {
		n.servePolled(w, r)
		return
	}
	if ext := r.Header.Get("Sec-WebSocket-Extensions"); ext != "" {
		n.t.Errorf("the node is offered %q", ext)
	}
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return
	}
	c.SetReadLimit(-1)
	s := &socket{Conn: c}
	n.mu.Lock()
	n.sockets[s] = true
	n.mu.Unlock()
	s.say("%s", n.open(rand.Text()[:20]))
	n.serve(s)
	defer s.CloseNow()
	n.leave(s)
}

func (n *restorer) open(sid string) string {
	every := cmp.Or(n.fault().beats, 25*time.Second)
	return fmt.Sprintf(`0{"sid":%q,"upgrades":[],"pingInterval":%d,"pingTimeout":20000,"maxPayload":1000000}`, sid, every.Milliseconds())
}

// leave ends a session, and keeps it.
func (n *restorer) leave(s *socket) {
	n.mu.Lock()
	delete(n.sockets, s)
	f := n.faults
	n.mu.Unlock()
	if s.sid != "" && !f.forgets {
		time.Sleep(f.late)
		n.keep(s)
	}
}

func (n *restorer) keep(s *socket) {
	_ = n.redis.Set(context.Background(), "sio:session:"+s.pid, s.sid, time.Minute).Err()
}

func (n *restorer) serve(s *socket) {
	for {
		_, b, err := s.Read(context.Background())
		if err != nil {
			return
		}
		for n.fault().deaf {
			time.Sleep(time.Millisecond)
		}
		n.handle(s, b)
	}
}

// handle deals with a client's message.
func (n *restorer) handle(s *socket, b []byte) {
	switch text := string(b); {
	case strings.HasPrefix(text, "40"):
		n.connect(s, b[2:])
	case text == "3":
		n.mu.Lock()
		n.pongs++
		n.mu.Unlock()
	case strings.HasPrefix(text, "43"):
		n.mu.Lock()
		n.acked = append(n.acked, text)
		n.mu.Unlock()
	case strings.HasPrefix(text, "42"), strings.HasPrefix(text, "45"):
		n.mu.Lock()
		n.got = append(n.got, text)
		n.mu.Unlock()
		id := strings.TrimLeft(text[2:], "0123456789")
		answer := func() { s.say("43%s[]", strings.TrimSuffix(text[2:], id)) }
		switch {
		case id == text[2:] || strings.Contains(text, "unanswered"):
		case strings.Contains(text, "slowly"):
			time.AfterFunc(300*time.Millisecond, answer)
		default:
			answer()
		}
	}
}

// connect answers a CONNECT.
func (n *restorer) connect(s *socket, auth []byte) {
	if n.fault().denies {
		s.say(`44{"message":"no"}`)
		return
	}
	var back struct{ PID, Offset string }
	_ = json.Unmarshal(auth, &back)
	ctx := context.Background()
	sid, pid := rand.Text()[:20], rand.Text()[:20]
	if back.PID != "" {
		kept, _ := n.redis.GetDel(ctx, "sio:session:"+back.PID).Result()
		found, _ := n.redis.XRange(ctx, "socket.io", back.Offset, back.Offset).Result()
		if kept != "" && len(found) == 1 {
			sid, pid = kept, back.PID
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if pid == back.PID {
		missed, _ := n.redis.XRange(ctx, "socket.io", "("+back.Offset, "+").Result()
		for _, e := range missed {
			n.pass(s, sid, e)
		}
	}
	s.sid, s.pid = sid, pid
	if n.faults.plain {
		s.say(`40{"sid":%q}`, sid)
	} else {
		s.say(`40{"sid":%q,"pid":%q}`, sid, pid)
	}
	if n.faults.keeps {
		n.keep(s)
	}
}

// pass sends a client an event of the stream.
func (n *restorer) pass(s *socket, sid string, e redis.XMessage) {
	var m struct {
		Packet struct{ Data []any }
		Opts   struct{ Rooms []string }
	}
	text, _ := e.Values["data"].(string)
	if json.Unmarshal([]byte(text), &m) != nil || !slices.Contains(m.Opts.Rooms, sid) {
		return
	}
	data, _ := json.Marshal(append(m.Packet.Data, e.ID))
	s.say("42%s", data)
}

// follow sends clients what comes by the stream.
func (n *restorer) follow(ctx context.Context) {
	last := "0"
	for ctx.Err() == nil {
		streams, err := n.redis.XRead(ctx, &redis.XReadArgs{Streams: []string{"socket.io", last}, Block: 100 * time.Millisecond}).Result()
		if err != nil || n.fault().hides {
			time.Sleep(time.Millisecond)
			continue
		}
		time.Sleep(n.fault().lags)
		n.mu.Lock()
		for _, e := range streams[0].Messages {
			last = e.ID
			for s := range n.sockets {
				n.pass(s, s.sid, e)
			}
		}
		n.mu.Unlock()
	}
}

// member is a client of a session on a WebSocket.
type member struct {
	*websocket.Conn
	t        testing.TB
	eio, sid string
	got      chan string // messages but pings, closed at the end
	pings    atomic.Int32
}

// join begins a session on n1.
func (s *site) join() *member {
	s.t.Helper()
	for _, n := range s.clusters[0].Nodes()[1:] {
		s.clusters[0].SetDraining(n, true)
		defer s.clusters[0].SetDraining(n, false)
	}
	dial := http.Client{Transport: &http.Transport{TLSClientConfig: clientTLS}}
	c, _, err := websocket.Dial(s.t.Context(), ownScheme+"://"+s.addr+"/socket.io/?EIO=4&transport=websocket", &websocket.DialOptions{HTTPClient: &dial})
	if err != nil {
		s.t.Fatal(err)
	}
	m := &member{Conn: c, t: s.t, got: make(chan string, 10_000)}
	s.t.Cleanup(func() { c.CloseNow() })
	go func() {
		defer close(m.got)
		for {
			_, b, err := c.Read(context.Background())
			switch {
			case err != nil:
				c.CloseNow()
				return
			case string(b) == "2":
				m.pings.Add(1)
				m.say("3")
			default:
				m.got <- string(b)
			}
		}
	}()
	var open, connected struct{ SID string }
	m.read(m.next()[1:], &open)
	m.say(`40{"token":"x"}`)
	m.read(m.next()[2:], &connected)
	m.eio, m.sid = open.SID, connected.SID
	return m
}

func (m *member) read(text string, into any) {
	m.t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		m.t.Fatalf("%q: %v", text, err)
	}
}

func (m *member) say(text string) {
	_ = m.Write(context.Background(), websocket.MessageText, []byte(text))
}

// next returns the next message, "" at the end.
func (m *member) next() string {
	m.t.Helper()
	select {
	case text := <-m.got:
		return text
	case <-time.After(patience):
		m.t.Fatal("no message comes")
		return ""
	}
}

// emit has a node's adapter send the client an event.
func (m *member) emit(server *redis.Client, text string) {
	m.t.Helper()
	data := fmt.Sprintf(`{"packet":{"type":2,"nsp":"/","data":[%q]},"opts":{"rooms":[%q],"except":[],"flags":{}}}`, text, m.sid)
	if err := server.XAdd(context.Background(), &redis.XAddArgs{Stream: "socket.io", Values: []string{"uid", "emitter", "nsp", "/", "type", "3", "data", data}}).Err(); err != nil {
		m.t.Error(err)
	}
}

func (s *site) move(m *member, to string) (now, outcome string) {
	s.t.Helper()
	_, now, outcome, err := s.MoveSession(s.t.Context(), m.eio, to)
	if err != nil {
		s.t.Fatal(err)
	}
	return now, outcome
}
