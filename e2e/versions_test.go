package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/engineio"
)

// vulnerableNode is a server of engine.io 6.6.9, the last that an upgrade in another revision ends.
const vulnerableNode = `
const server = require("http").createServer();
require("engine.io-6.6.9").attach(server, { path: "/socket.io/" });
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: server.address().port })));`

// upgradeInAnotherVersion makes a session of EIO 4 and upgrades it in EIO 3, whose pings come from the client. It returns
// the status that the upgrade got.
func upgradeInAnotherVersion(t *testing.T, address string) int {
	t.Helper()
	p := fetch(t, browser(t), request(t, http.MethodGet, "http://"+address+"/socket.io/?EIO=4&transport=polling", nil))
	m := openPacket.FindStringSubmatch(p.body)
	if m == nil {
		t.Fatalf("the handshake got %+v", p)
	}
	url := "http://" + address + "/socket.io/?EIO=3&transport=websocket&sid=" + m[1]
	ws, answer, err := websocket.Dial(t.Context(), url, nil)
	if err != nil {
		if answer == nil {
			t.Fatal(err)
		}
		return answer.StatusCode
	}
	defer ws.CloseNow()
	for _, packet := range []string{engineio.ProbePing, engineio.PacketUpgrade, "2"} {
		if err := ws.Write(t.Context(), websocket.MessageText, []byte(packet)); err != nil {
			t.Fatal(err)
		}
		if packet == engineio.ProbePing {
			if _, pong, err := ws.Read(t.Context()); err != nil || string(pong) != engineio.ProbePong {
				t.Fatalf("%q, %v", pong, err)
			}
		}
	}
	_, _, _ = ws.Read(t.Context()) // the end of it
	return answer.StatusCode
}

// An upgrade in another EIO revision than the session's ends a node of engine.io 6.6.0 to 6.6.9 (CVE-2026-102599), but
// not through sidway.
func TestUpgradeInAnotherVersion(t *testing.T) {
	p := start(t, command{name: "n1", talks: true, argv: []string{"node", "-e", vulnerableNode}})
	n := &node{process: p, name: "n1"}
	var ready struct{ Port int }
	n.hear(t, &ready)
	n.port = ready.Port
	r := startReplica(t, affinitytest.StartRedis(t).URL(), []*node{n})

	for range 3 {
		if got := upgradeInAnotherVersion(t, r.listen); got != http.StatusBadRequest {
			t.Fatalf("through sidway: status %d", got)
		}
	}
	if got := upgradeInAnotherVersion(t, n.address()); got != http.StatusSwitchingProtocols {
		t.Fatalf("at the node: status %d", got)
	}
	if code := n.exit(t); code == 0 || !strings.Contains(n.said.String(), "TypeError") {
		t.Errorf("the node has ended with %d, so it proves nothing:\n%s", code, n.said)
	}
}
