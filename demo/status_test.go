package main_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// This file tests the status page of sidway itself as an operator uses it: the real binary, real nodes, and clients of theirs.

// sidwayBinary builds sidway once, when the first test asks.
var sidwayBinary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(buildDir, "sidway")
	if out, err := exec.Command("go", "build", "-C", "..", "-o", path, "./cmd/sidway").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

const token = "only-for-operators"

// operated is a sidway with nodes and clients.
type operated struct {
	t             *testing.T
	nodes         []*process
	clients       *process
	config        string
	listen, admin string
	sidway        *process
}

// freeAddress returns an address of 127.0.0.1 that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// hear decodes the next line that a process prints.
func (p *process) hear(into any) {
	p.t.Helper()
	line := p.line()
	if err := json.Unmarshal([]byte(line), into); err != nil {
		p.t.Fatalf("%q: %v", line, err)
	}
}

// startOperated starts sidway before four nodes, with so many polling clients and as many with WebSockets.
func startOperated(t *testing.T, each int) *operated {
	t.Helper()
	o := &operated{t: t, config: filepath.Join(t.TempDir(), "sidway.yaml"), listen: freeAddress(t), admin: freeAddress(t)}
	list := ""
	for i := range 4 {
		n := start(t, []string{fmt.Sprint("NODE_NAME=n", i+1)}, "node", "../e2e/testdata/server.mjs")
		var ready struct{ Port int }
		n.hear(&ready)
		o.nodes = append(o.nodes, n)
		list += fmt.Sprintf("      - {name: n%d, url: \"http://127.0.0.1:%d\"}\n", i+1, ready.Port)
	}
	text := fmt.Sprintf("listen: %s\nadmin: {listen: %s, token: %s}\nclusters:\n  - name: chat\n    health: {interval: 1s, fall: 2, rise: 1}\n    pace: {handshakes: 2/s, burst: 200}\n    nodes:\n%s",
		o.listen, o.admin, token, list)
	if err := os.WriteFile(o.config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	o.serve()
	argument := fmt.Sprintf(`{"url": "http://%s", "polling": %d, "websocket": %d}`, o.listen, each, each)
	o.clients = start(t, nil, "node", "testdata/sessions.mjs", argument)
	var ready struct{ Ready bool }
	o.clients.hear(&ready)
	return o
}

// serve starts sidway and waits until it listens.
func (o *operated) serve() {
	o.t.Helper()
	path, err := sidwayBinary()
	if err != nil {
		o.t.Fatal(err)
	}
	o.sidway = start(o.t, nil, path, "serve", "--config", o.config)
	eventually(o.t, "sidway listens", func() bool {
		conn, err := net.Dial("tcp", o.admin)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
}

type session struct{ SID, Transport, Node string }

func (o *operated) sessions() (all []session) {
	o.t.Helper()
	if _, err := o.clients.in.Write([]byte(`{"cmd":"sids"}` + "\n")); err != nil {
		o.t.Fatal(err)
	}
	o.clients.hear(&all)
	return all
}

// What the page shows of a node.
const (
	rowOf   = `[...document.querySelectorAll("tbody tr")].find((r) => r.querySelector(".name button").textContent === %q)`
	stateOf = rowOf + `.querySelector(".chip").textContent`
	countOf = `Number(` + rowOf + `.querySelector(".total").textContent.replaceAll(",", ""))`
	level   = `document.querySelector("#verdict").dataset.level`
	sheet   = `document.querySelector("#node")`
	total   = `[...document.querySelectorAll("tbody .total")].reduce((n, e) => n + Number(e.textContent), 0)`
)

// An operator sees a node die, drains another and watches its sessions fall, takes that back, finds a session, and sees sidway itself
// hang, go away and come back.
func TestStatusPageByAnOperator(t *testing.T) {
	const each = 20
	o := startOperated(t, each)
	b := startBrowser(t, 1280, 900)
	b.do(chromedp.Navigate("http://" + o.admin + "/"))
	b.until(fmt.Sprintf(`%s === %d && %s === "ok"`, total, 2*each, level))
	b.until(fmt.Sprintf(`document.querySelector("#headline").textContent === "All is well: %d sessions on 4 nodes"`, 2*each))
	b.shootAll("real-1-well", 1280)

	o.nodes[2].end(syscall.SIGKILL)
	b.until(level + ` === "bad" && document.querySelector("#problems, #headline").parentElement.textContent.includes("n3 of chat is")`)
	b.until(fmt.Sprintf(stateOf, "n3") + ` === "unhealthy" && ` + fmt.Sprintf(countOf, "n3") + ` === 0`)
	b.until(`[...document.querySelectorAll("#events li")].some((e) => /n3 of chat/.test(e.textContent) && /unhealthy|ejected/.test(e.textContent))`)
	b.until(fmt.Sprintf(`%s === %d`, total, 2*each)) // its clients are back, elsewhere
	b.shootAll("real-2-dead", 1280)

	b.do(chromedp.Click(chromedp.CSS(`button[aria-label="Drain n2"]`)))
	b.until(sheet + `.open && document.activeElement.name === "deadline"`)
	drain := func(with string) {
		b.do(chromedp.Click(chromedp.CSS(`#node input[value="0s"]`)), chromedp.SetValue(chromedp.CSS(`#node input[name=token]`), with))
		b.shoot("real-3-drain")
		b.do(chromedp.Click(chromedp.CSS(`#node form .primary`)))
	}
	drain("a guess")
	b.until(sheet + `.querySelector("[role=alert]").textContent === "That is not the token."`)
	if n := eval[int](b, `Object.keys(sessionStorage).length`); n > 0 {
		t.Error("a wrong token is kept")
	}
	drain(token)
	b.until(sheet + `.querySelector(".chip.draining") && ` + fmt.Sprintf(countOf, "n2") + ` > 0`)
	b.shoot("real-4-draining")
	b.until(sheet + `.textContent.includes("Drained, and empty") && ` + fmt.Sprintf(countOf, "n2") + ` === 0`)
	b.until(fmt.Sprintf(`%s === %d`, total, 2*each))
	b.shootAll("real-5-drained", 1280)

	b.do(chromedp.Click(chromedp.CSS(`#node .change > button`))) // the token is known by now
	b.until(sheet + `.textContent.includes("The token is kept")`)
	b.do(chromedp.Click(chromedp.CSS(`#node form .primary`)))
	b.until(fmt.Sprintf(stateOf, "n2") + ` === "healthy" || ` + fmt.Sprintf(stateOf, "n2") + ` === "warming up"`)
	b.do(chromedp.KeyEvent(kb.Escape))
	b.until(`!` + sheet + `.open`)

	o.find(b)
	if err := o.sidway.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	b.until(`document.querySelector("#live").dataset.state === "stale" && document.querySelector("#live").textContent.includes("nothing was heard")`)
	if err := o.sidway.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	b.until(`document.querySelector("#live").dataset.state === "live"`)
	o.sidway.end(syscall.SIGKILL)
	b.until(`document.querySelector("#live").dataset.state === "stale"`)
	b.shoot("real-7-stale")
	o.serve()
	b.until(`document.querySelector("#live").dataset.state === "live"`)
	if kept := eval[[]string](b, `Object.values(localStorage)`); len(kept) > 0 {
		t.Errorf("kept for longer than the tab: %q", kept)
	}
}

// find finds sessions by their sids, and one that nobody knows.
func (o *operated) find(b *browser) {
	o.t.Helper()
	search := func(sid string) {
		eval[any](b, `(document.querySelector("#sid").value = "", 1)`)
		b.do(chromedp.SendKeys(chromedp.CSS("#sid"), sid+kb.Enter))
		b.until(`document.querySelector("#session").open`)
	}
	found := map[string]session{}
	for _, s := range o.sessions() {
		found[s.Transport] = s
	}
	for _, transport := range []string{"polling", "websocket"} {
		s := found[transport]
		search(s.SID)
		text := eval[string](b, `document.querySelector("#session").innerText`)
		if s.SID == "" || !strings.Contains(text, s.Node) || !strings.Contains(text, transport) || strings.Contains(text, s.SID) ||
			eval[int](b, `document.querySelectorAll("#session .requests tbody tr").length`) == 0 || transport == "websocket" && !strings.Contains(text, "WebSocket at") {
			o.t.Errorf("%+v: %s", s, text)
		}
		b.shoot("real-6-session-" + transport)
		b.do(chromedp.KeyEvent(kb.Escape))
		b.until(`!document.querySelector("#session").open`)
	}
	search("nobodyknowsthissession")
	b.until(`document.querySelector("#session").textContent.includes("No such session")`)
	b.until(`document.querySelector("#session").textContent.includes("It was never seen")`)
	b.do(chromedp.KeyEvent(kb.Escape))
	b.until(`!document.querySelector("#session").open`)
}
