package chat_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/demo/chat"
)

// resolver knows hosts when it is told to.
type resolver struct {
	mu    sync.Mutex
	hosts map[string]string
	asked int
}

func (r *resolver) lookup(_ context.Context, host string) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	if a := r.hosts[host]; a != "" {
		return []string{a}, nil
	}
	return nil, errors.New("no such host")
}

func (r *resolver) put(hosts map[string]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hosts = hosts
}

func (r *resolver) asks() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

// peer is a Socket.IO client by WebSocket alone, as through a gateway whose clients connect to port 8080.
type peer struct {
	t   *testing.T
	url string
	c   *websocket.Conn
}

func dial(t *testing.T, url string) *peer {
	t.Helper()
	c, _, err := websocket.Dial(t.Context(), url+"/socket.io/?EIO=4&transport=websocket", &websocket.DialOptions{
		HTTPHeader: http.Header{"X-Forwarded-Port": {"8080"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	p := &peer{t, url, c}
	p.read("0{")
	p.write("40")
	p.read("40{")
	return p
}

func (p *peer) write(packet string) {
	p.t.Helper()
	if err := p.c.Write(p.t.Context(), websocket.MessageText, []byte(packet)); err != nil {
		p.t.Fatal(err)
	}
}

// read returns what follows the beginning of the next packet that begins so.
func (p *peer) read(beginning string) string {
	p.t.Helper()
	after, err := p.next(beginning)
	if err != nil {
		p.t.Fatal(err)
	}
	return after
}

func (p *peer) next(beginning string) (string, error) {
	p.t.Helper()
	for {
		_, b, err := p.c.Read(p.t.Context())
		if err != nil {
			return "", err
		}
		if after, ok := strings.CutPrefix(string(b), beginning); ok {
			return after, nil
		}
		if string(b) == "2" {
			p.write("3") // a ping wants its pong
		}
	}
}

// replica is the one that the node says this client came through. The node's library ends about one in a hundred connections whose
// messages come fast; then the client is another one.
func (p *peer) replica() string {
	p.t.Helper()
	p.write(`420["status",{}]`)
	text, err := p.next("430")
	if errors.Is(err, io.EOF) {
		p.c = dial(p.t, p.url).c
		p.write(`420["status",{}]`)
		text = p.read("430")
	}
	var answer []struct{ Replica string }
	if err := json.Unmarshal([]byte(text), &answer); err != nil || len(answer) != 1 {
		p.t.Fatalf("%v %v", answer, err)
	}
	return answer[0].Replica
}

// until asks now and then until the node names this replica.
func (p *peer) until(name string) {
	p.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(time.Minute); p.replica() != name; {
		select {
		case <-tick.C:
		case <-limit:
			p.t.Fatalf("still %q, not %s", p.replica(), name)
		}
	}
}

// TestAReplicaThatIsFoundLater names the replica of sessions that send no more requests.
func TestAReplicaThatIsFoundLater(t *testing.T) {
	names := &resolver{}
	s := start(t, chat.Options{
		Redis: affinitytest.StartRedis(t).Client(), Lookup: names.lookup,
		Replicas: []chat.Replica{{Name: "r1", Host: "one", Port: "8080"}, {Name: "r2", Host: "two", Port: "8080"}, {Name: "r3", Host: "one", Port: "81"}},
	})
	before := dial(t, s.URL)
	for names.asks() == 0 || before.replica() != "" {
		continue
	}
	names.put(map[string]string{"one": "127.0.0.1", "two": "127.0.0.2"})
	before.until("r1")
	dial(t, s.URL).until("r1")

	names.put(nil) // it goes, and the other one gets its address
	names.put(map[string]string{"two": "127.0.0.1"})
	after := dial(t, s.URL)
	after.until("r2")
	names.put(map[string]string{"one": "127.0.0.3", "two": "127.0.0.1"})
	for asked := names.asks(); names.asks() < asked+6; {
		if name := after.replica(); name != "r2" {
			t.Fatalf("named %q", name)
		}
	}
}

func TestAReplicaThatIsFoundLaterByNodeJS(t *testing.T) {
	if out, err := exec.Command("node", "--test", "../node/testdata/via.test.mjs").CombinedOutput(); err != nil {
		t.Errorf("this test needs node: %v\n%s", err, out)
	}
}
