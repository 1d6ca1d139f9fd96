package main_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// enterWatched is enter with the page's socket noted as window.sock, and what it hears: how often it was disconnected, and
// each message that comes by itself.
func (b *browser) enterWatched(url, name, room string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url))
	b.until(`document.querySelector("#welcome") && !document.querySelector("#welcome").hidden`)
	eval[any](b, fmt.Sprintf(`(window.disconnects = 0, window.connects = 0, window.heard = [],
		window.io = ((make) => (...args) => {
			window.sock = make(...args);
			sock.on("connect", () => connects++);
			sock.on("disconnect", () => disconnects++);
			sock.on("message", (room, message) => heard.push(message.text));
			return sock;
		})(window.io),
		document.querySelector("#name").value = %q, document.querySelector("#first-room").value = %q,
		document.querySelector("#welcome").requestSubmit())`, name, room))
	b.until(connected)
	b.until(`/^n\d/.test(` + node + `) && document.querySelector("#my-transport").textContent === "websocket"`)
}

const (
	told = `document.querySelector("#told").textContent`
	// over tells whether the page says what came of the last thing that was done.
	over = `/longest wait|was gone for|you were back|Not moved|failed|Nobody/.test(` + told + `)`
)

// press works one of the panel's buttons and returns what the page says when it is over.
func (b *browser) press(act string) string {
	b.t.Helper()
	selector := fmt.Sprintf("[data-act=%s]", act)
	b.until(fmt.Sprintf(`document.querySelector(%q)?.hidden === false`, selector))
	eval[any](b, fmt.Sprintf(`(document.querySelector("#told").textContent = "", document.querySelector(%q).click(), 1)`, selector))
	b.until(over)
	return eval[string](b, told)
}

// TestASessionMoves presses the buttons that move a session while messages flow, with Go nodes and with Node nodes alone.
func TestASessionMoves(t *testing.T) {
	for name, args := range map[string][]string{"go": {"--nodes", "2"}, "node": {"--nodes", "2", "--node-js", "2"}} {
		t.Run(name, func(t *testing.T) {
			d := startDemo(t, "", args...)
			ada, bob := startBrowser(t, 1280, 800), startBrowser(t, 1280, 800)
			ada.enterWatched(d.url, "Ada", "lobby")
			bob.enterWatched(d.url, "Bob", "lobby")
			id := eval[string](ada, "sock.id")
			for i, b := range []*browser{ada, bob} {
				eval[any](b, fmt.Sprintf(talk, []string{"ada", "bob"}[i]))
			}
			for _, act := range []string{"move-session", "move-session", "drain-node"} {
				before := eval[string](ada, node)
				words := ada.press(act)
				t.Log(words)
				if now := eval[string](ada, node); now == before || !strings.Contains(words, now) || !strings.Contains(words, "connection was kept") {
					t.Fatalf("%s, from %s to %s: %q", act, before, now, words)
				}
				if act == "move-session" && (!strings.Contains(words, "Moved from "+before) || strings.Contains(words, "messages lost") && !strings.Contains(words, "each came once")) { // none may have been under way
					t.Errorf("%q", words)
				}
				ada.shoot("move-" + name + "-" + act)
			}
			compare(t, ada, bob)
			if n := eval[int](ada, "disconnects"); n != 0 {
				t.Errorf("%d times disconnected", n)
			}
			if n := eval[int](ada, "connects"); n != 1 {
				t.Errorf("connected %d times", n)
			}
			if now := eval[string](ada, "sock.id"); now != id {
				t.Errorf("another socket: %s, not %s", now, id)
			}
			heard := eval[[]string](ada, "heard")
			slices.Sort(heard)
			log := eval[[]string](ada, all)
			slices.Sort(log)
			if !slices.Equal(heard, log) {
				t.Errorf("heard by itself:\n%q\nthe log:\n%q", heard, log)
			}
		})
	}
}

// TestASessionThatPolls may move, where nothing is under way at that moment; the page says rightly whether it has, and it stays connected.
func TestASessionThatPolls(t *testing.T) {
	d := startDemo(t, "", "--nodes", "2")
	b := startBrowser(t, 1280, 800)
	b.enterWatched(d.url, "Ada", "lobby")
	eval[any](b, `(document.querySelector("#polling").click(), 1)`)
	b.until(connected + ` && document.querySelector("#my-transport").textContent === "polling" && /^n/.test(` + node + `)`)
	eval[any](b, `(window.disconnects = 0, window.id = sock.id, 1)`)
	before := eval[string](b, node)
	words := b.press("move-session")
	now := eval[string](b, node)
	if moved := strings.Contains(words, "Moved from "+before+" to "+now); moved != (now != before) || !moved && !strings.Contains(words, "Not moved: ") {
		t.Errorf("from %s to %s: %q", before, now, words)
	}
	if n := eval[int](b, "disconnects"); n != 0 || !eval[bool](b, "sock.id === id") {
		t.Errorf("%d times disconnected, and the socket is the same: %v", n, eval[bool](b, "sock.id === id"))
	}
}

// TestANodesDeathKeepsTheConnection kills the node of a page that chats on.
func TestANodesDeathKeepsTheConnection(t *testing.T) {
	d := startDemo(t, "", "--node-js", "1")
	ada, bob := startBrowser(t, 1280, 800), startBrowser(t, 1280, 800)
	ada.enterWatched(d.url, "Ada", "lobby")
	bob.enterWatched(d.url, "Bob", "lobby")
	eval[any](ada, fmt.Sprintf(talk, "ada"))
	eval[any](bob, fmt.Sprintf(talk, "bob"))
	for range 3 {
		before := eval[string](ada, node)
		words := ada.press("kill-node")
		t.Log(words)
		if now := eval[string](ada, node); now == before || !strings.Contains(words, before+" died. You are on "+now+" now. Your connection was kept") {
			t.Errorf("from %s to %s: %q", before, now, words)
		}
	}
	compare(t, ada, bob)
	if n := eval[int](ada, "disconnects"); n != 0 {
		t.Errorf("%d times disconnected", n)
	}
}
