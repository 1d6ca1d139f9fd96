package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity/affinitytest"
)

// talk has the page say something now and then, and note whatever is ever shown as sent or delivered.
const talk = `(window.shown = new Set(), window.said = 0,
	window.note = () => {
		for (const li of document.querySelectorAll("#log li.mine, #pending li.sent")) {
			if (/^(sent|delivered)$/.test(li.querySelector(".state").textContent)) shown.add(li.querySelector(".body").textContent);
		}
	},
	window.talking = setInterval(() => {
		document.querySelector("#text").value = %q + " " + ++said;
		document.querySelector("#say").requestSubmit();
	}, 400),
	window.noting = setInterval(note, 50), 1)`

// childOf finds the process that the launcher started under a name.
func (d *demo) childOf(name string) int {
	d.t.Helper()
	children, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		d.t.Fatal(err)
	}
	for _, path := range children {
		line, _ := os.ReadFile(path) // it may have ended since
		stat, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "stat"))
		_, behind, _ := strings.Cut(string(stat), ") ")
		fields := strings.Fields(behind)
		args := strings.Split(string(line), "\x00")
		if len(fields) > 1 && fields[1] == strconv.Itoa(d.cmd.Process.Pid) && slices.Contains(args, name) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			return pid
		}
	}
	d.t.Fatalf("no process for %s", name)
	return 0
}

// Where a page says that it is.
const (
	node    = `document.querySelector("#my-node").textContent.slice(0, 2)`
	replica = `document.querySelector("#my-replica").textContent`
)

// apart gets them onto different nodes.
func apart(t *testing.T, ada, bob *browser) {
	t.Helper()
	ready := func(b *browser) {
		b.until(`document.querySelector("#state").textContent === "connected" && /^n/.test(` + node + `) && /^r/.test(` + replica + `)`)
	}
	ready(ada)
	ready(bob)
	eventually(t, "they are on different nodes", func() bool {
		if eval[string](ada, node) != eval[string](bob, node) {
			return true
		}
		eval[any](bob, `(document.querySelector("#cut").click(), 1)`)
		waitFor(t, 2*time.Second)
		return false
	})
}

func TestTwoBrowsersThroughFaults(t *testing.T) {
	rdb := affinitytest.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	d := startDemo(t, rdb.URL())
	ada, bob := startBrowser(t, 1280, 800), startBrowser(t, 1280, 800)
	ada.enter(d.url, "Ada", "lobby")
	eval[any](ada, `(document.querySelector("#polling").click(), 1)`)
	bob.enter(d.url, "Bob", "lobby")
	ada.until(`document.querySelector("#state").textContent === "connected" && document.querySelector("#my-transport").textContent === "polling"`)
	bob.until(`document.querySelector("#my-transport").textContent === "websocket"`)
	apart(t, ada, bob)

	eval[any](ada, fmt.Sprintf(talk, "ada"))
	eval[any](bob, fmt.Sprintf(talk, "bob"))
	sent := func(b *browser) int { return eval[int](b, "shown.size") }
	more := func(why string) {
		t.Helper()
		a, b := sent(ada), sent(bob)
		eventually(t, "both go on "+why, func() bool { return sent(ada) > a+2 && sent(bob) > b+2 })
	}
	more("at first")
	eval[any](bob, `(document.querySelector("[data-act=kill-node]").click(), 1)`)
	more("behind a node's death")
	ada.shoot("faults-node")
	rdb.Kill()
	ada.until(`[...document.querySelectorAll("#pending .state")].some((s) => s.textContent === "waiting: Redis is away")`)
	ada.shoot("faults-redis")
	rdb.Restart()
	more("behind a restart of Redis")
	if err := syscall.Kill(d.childOf(eval[string](bob, replica)), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	more("behind a replica's death")
	eval[any](ada, `(document.querySelector("[data-act=kill-node]").click(), 1)`)
	more("behind another node's death")

	compare(t, ada, bob)
	ada.shoot("faults-end")
}

// compare ends the talk and demands one log on both sides, with everything that was ever shown as sent in it once.
func compare(t *testing.T, ada, bob *browser) {
	t.Helper()
	for _, b := range []*browser{ada, bob} {
		eval[any](b, `(clearInterval(talking), 1)`)
		b.until(`document.querySelectorAll("#pending li").length === 0`)
	}
	total := eval[int](ada, "said") + eval[int](bob, "said")
	for _, b := range []*browser{ada, bob} {
		b.until(fmt.Sprintf(`document.querySelectorAll("#log li:not(.note)").length === %d`, total))
		b.until(`[...document.querySelectorAll("#log li.mine .state")].every((s) => s.textContent === "delivered")`)
	}
	log := eval[[]string](ada, all)
	if other := eval[[]string](bob, all); !slices.Equal(log, other) {
		t.Errorf("not the same on both sides:\n%q\n%q", log, other)
	}
	for name, b := range map[string]*browser{"Ada": ada, "Bob": bob} {
		for _, text := range eval[[]string](b, "[...shown]") {
			if n := strings.Count("\n"+strings.Join(log, "\n")+"\n", "\n"+text+"\n"); n != 1 {
				t.Errorf("%q was shown to %s as sent and is there %d times", text, name, n)
			}
		}
	}
	t.Logf("%d messages", total)
}
