package main_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/demo/rooms"
)

// crowded tells how many of the drawing's sessions are cut off at its edge, overlap another one or have its colour.
const crowded = `(() => {
	const frame = document.querySelector("#cluster").getBoundingClientRect();
	const circles = [...document.querySelectorAll("#cluster .session circle")].map((c) => ({ x: +c.getAttribute("cx"), y: +c.getAttribute("cy"),
		r: +c.getAttribute("r"), fill: c.getAttribute("fill"), box: c.getBoundingClientRect() }));
	const bad = { n: circles.length, clipped: 0, overlap: 0, same: 0 };
	circles.forEach((a, i) => {
		if (a.box.left < frame.left || a.box.top < frame.top || a.box.bottom > frame.bottom || a.box.right > frame.right) bad.clipped++;
		for (const b of circles.slice(i + 1)) {
			if (Math.hypot(a.x - b.x, a.y - b.y) < a.r + b.r) bad.overlap++;
			if (a.fill === b.fill) bad.same++;
		}
	});
	return bad;
})()`

// TestTheDrawing has 24 sessions, which can be told apart, and what stands in the drawing can be broken there.
func TestTheDrawing(t *testing.T) {
	d := startDemo(t, "")
	u := startUsers(t, usersConfig{URL: d.url, Users: 23, Rooms: 2})
	u.do("enter", nil, nil)
	b := startBrowser(t, 1440, 900)
	b.enter(d.url, "Ada", "lobby")
	b.until(`document.querySelectorAll("#cluster .session").length === 24`)
	for _, v := range []struct {
		name          string
		width, height int64
	}{{"tablet", 1000, 800}, {"phone", 390, 844}, {"wide", 1440, 900}} {
		b.do(chromedp.EmulateViewport(v.width, v.height))
		b.until(fmt.Sprintf(`innerWidth === %d`, v.width))
		eval[any](b, `(document.querySelector("#panel").classList.contains("open") || document.querySelector("#open-panel").click(), 1)`)
		eventually(t, v.name+": 24 sessions apart from each other", func() bool {
			c := eval[struct{ N, Clipped, Overlap, Same int }](b, crowded)
			return c.N == 24 && c.Clipped+c.Overlap+c.Same == 0
		})
		b.shoot("drawing-" + v.name)
	}
	wide := eval[struct{ Stage, Main, Panel float64 }](b, `(({ stage, main, panel }) => ({ stage, main, panel }))(
		Object.fromEntries(["#stage", "main", "#panel"].map((q) => [q.replace("#", ""), document.querySelector(q).getBoundingClientRect().width])))`)
	if wide.Stage < 1.5*wide.Main {
		t.Errorf("the drawing is %v px wide beside a chat of %v", wide.Stage, wide.Main)
	}

	// Another node than ours is killed by pressing it, and the line of a session that was there swings away.
	other := eval[string](b, `["n1", "n2", "n3"].find((n) => n !== `+node+`)`)
	b.until(`document.querySelector("#cluster .session.me")`)
	pick := func(selector, act string) {
		t.Helper()
		eval[any](b, fmt.Sprintf(`(document.querySelector(%q).dispatchEvent(new MouseEvent("click", { bubbles: true })), 1)`, selector))
		b.until(`!document.querySelector("#menu").hidden`)
		eval[any](b, fmt.Sprintf(`([...document.querySelectorAll("#menu button")].find((b) => b.textContent.startsWith(%q)).click(), 1)`, act))
	}
	b.watch("#cluster .down", "#cluster path.swings")
	pick(fmt.Sprintf(`#cluster .node[aria-label^="%s"]`, other), "Kill "+other)
	b.until(seen("#cluster .down") + " && " + seen("#cluster path.swings"))
	b.shoot("drawing-swings")
	b.until(over)
	if words := eval[string](b, told); !strings.Contains(words, other+" died. You are on ") || !strings.Contains(words, "still. Your connection was kept") {
		t.Errorf("%q", words)
	}
	b.until(fmt.Sprintf(`document.querySelector("#events").textContent.includes("%s was killed")`, other))
	b.until(fmt.Sprintf(`document.querySelector("#events").textContent.includes("%s is up again")`, other))

	// Our own session is moved to a node by pressing that.
	eval[any](b, `(document.querySelector("#told").textContent = "", 1)`)
	target := eval[string](b, `["n1", "n2", "n3"].find((n) => n !== `+node+`)`)
	pick(fmt.Sprintf(`#cluster .node[aria-label^="%s"]`, target), "Move my session here")
	b.until(over)
	if words := eval[string](b, told); !strings.Contains(words, " to "+target) {
		t.Errorf("moved to %s? %q", target, words)
	}
	u.do("leave", nil, nil)
}

// TestDotsFly has a message go through the drawing, and the list name its guests by their numbers.
func TestDotsFly(t *testing.T) {
	d := startDemo(t, "")
	b := startBrowser(t, 1440, 900)
	b.do(chromedp.Navigate(d.url))
	b.until(`document.querySelector("#name").value`) // one is suggested
	b.enter(d.url, "Ada", "lobby")
	eval[any](b, `(document.querySelector("#guests").click(), 1)`)
	b.until(`document.querySelectorAll("#cluster .session").length === 51`)
	b.until(`document.querySelector("#count").textContent === "51 people here"`)
	b.until(`[...document.querySelectorAll("#people .name")].slice(1).every((n, i) => n.textContent === "Guest " + (i + 1))`)
	eval[any](b, `(window.seen = new Set(), new MutationObserver((list) => list.forEach((m) => m.addedNodes.forEach((n) => seen.add(n.getAttribute("class")))))
		.observe(document.querySelector("#cluster .flying"), { childList: true }), 1)`)
	b.say("hello")
	b.until(`seen.has("message") && seen.has("frame")`)
	b.until(`[...document.querySelectorAll("#log .note")].some((n) => /Guest .* others came in/.test(n.textContent))`)
	b.until(all + `.length > 2`) // guests talk
	eval[any](b, `(document.querySelector("#guests").click(), 1)`)
	b.until(`document.querySelectorAll("#cluster .session").length === 1 && document.querySelector("#count").textContent === "1 person here"`)
}

// TestWhatIsDownIsSaid stops Redis and the network.
func TestWhatIsDownIsSaid(t *testing.T) {
	d := startDemo(t, "", "--node-js", "1")
	b := startBrowser(t, 1440, 900)
	b.enter(d.url, "Ada", "lobby")
	b.until(`document.querySelector('[data-act="stop-redis"]')?.hidden === false`)
	eval[any](b, `(document.querySelector('[data-act="stop-redis"]').click(), 1)`)
	b.until(`document.querySelector("#state").textContent.includes("Redis is down") && document.querySelector("#state").classList.contains("away")`)
	b.until(`document.querySelector("#cluster .redis.down")`)
	b.say("waits")
	b.until(waiting + `.join() === "waiting: Redis is away"`)
	for _, theme := range []string{"light", "dark"} {
		eval[any](b, `(document.documentElement.dataset.theme = "`+theme+`", 1)`)
		if list := eval[[]string](b, faint); len(list) > 0 {
			t.Errorf("%s: too faint: %q", theme, list)
		}
		b.shoot("down-redis-" + theme)
	}
	b.until(connected + ` && !document.querySelector("#cluster .down")`)
	b.until(over)
	if words := eval[string](b, told); !strings.Contains(words, "is back") || !strings.Contains(words, "0 of 1 message lost") {
		t.Errorf("%q", words)
	}

	was := eval[string](b, node)
	b.leave()
	b.until(fmt.Sprintf(`document.querySelector('#cluster .node.down')?.textContent === "%sno answer"`, was))
	b.until(`document.querySelector("#my-node").classList.contains("away")`)
	b.shoot("down-network")
	b.offline(false)
	b.until(connected + ` && !document.querySelector("#cluster .down")`)
	b.until(`/you are back, on n\d, after/.test(document.querySelector("#events").textContent)`)
}

// TestThePanelLetsGo opens the panel where it lies over the chat, and where it does not.
func TestThePanelLetsGo(t *testing.T) {
	d := startDemo(t, "", "--nodes", "1", "--replicas", "1")
	b := startBrowser(t, 1000, 800)
	b.enter(d.url, "Ada", "lobby")
	open := `document.querySelector("#panel").classList.contains("open")`
	const apart = `document.querySelector("#panel").getBoundingClientRect().right <= document.querySelector("main").getBoundingClientRect().left`
	b.until(open + " && " + apart)
	b.do(chromedp.EmulateViewport(390, 844))
	b.until("!" + open)
	press := func(selector string) {
		t.Helper()
		eval[any](b, fmt.Sprintf(`(document.querySelector(%q).click(), 1)`, selector))
	}
	press("#open-panel")
	b.until(open)
	press("#close-panel")
	b.until("!" + open)
	press("#open-panel")
	b.until(open)
	b.do(chromedp.MouseClickXY(8, 700))
	b.until("!" + open)

	// A window that grows has nothing lie over its chat any more.
	press("#open-panel")
	for _, width := range []int64{1440, 1000} {
		b.do(chromedp.EmulateViewport(width, 800))
		b.until(open + " && " + apart + fmt.Sprintf(` && innerWidth === %d`, width))
		b.until(`getComputedStyle(document.querySelector("#veil")).display === "none"`)
	}
}

// TestNiceties are of the conversation: links, who comes and goes, what came meanwhile, and the end that stays in view.
func TestNiceties(t *testing.T) {
	redis := affinitytest.StartRedis(t)
	d := startDemo(t, redis.URL(), "--nodes", "2", "--replicas", "1", "--node-js", "1")
	ada, bob := startBrowser(t, 1440, 900), startBrowser(t, 390, 844)
	ada.enter(d.url, "Ada", "lobby")
	ada.until(`document.querySelector("#count").textContent === "1 person here"`)
	bob.enter(d.url, "B\u202eob", "lobby")
	notes := `[...document.querySelectorAll("#log .note")].map((n) => n.textContent)`
	ada.until(notes + `.includes("Bob came in")`)
	if text := eval[string](ada, `document.querySelector("#people").textContent`); strings.Contains(text, "\u202e") {
		t.Errorf("turns what follows: %q", text)
	}

	bob.say("see https://example.org/a_(b)?c=1, javascript:alert(1) and http://<b>\u202e")
	const links = `[...document.querySelectorAll("#log .body a")].map((a) => [a.href, a.rel, a.target].join(" "))`
	ada.until(all + `.length === 1`)
	if got := eval[[]string](ada, links); len(got) != 1 || !strings.HasPrefix(got[0], "https://example.org/a_(b)?c=1 noopener") {
		t.Errorf("%q", got)
	}
	if text := eval[[]string](ada, all)[0]; text != "see https://example.org/a_(b)?c=1, javascript:alert(1) and http://<b>" {
		t.Errorf("%q", text)
	}

	eval[any](ada, `(Object.defineProperty(document, "hidden", { value: true, configurable: true }), 1)`)
	bob.say("one")
	bob.say("two")
	ada.until(`document.title.startsWith("(2) lobby")`)
	eval[any](ada, `(delete document.hidden, document.dispatchEvent(new Event("visibilitychange")), 1)`)
	ada.until(`document.title.startsWith("lobby")`)

	bob.do(chromedp.SetUploadFiles("#file", []string{picture(t, 300_000)}))
	bob.until(`!document.querySelector("#attached").hidden`)
	bob.say("look")
	ada.until(`document.querySelector("#log img.picture")?.naturalWidth > 0`)
	for _, b := range []*browser{ada, bob} {
		// What grows while the word of an earlier scroll is on its way must not count as scrolled up.
		eval[any](b, `(document.querySelector("#log li:last-child .bubble").style.minHeight = "2000px",
			document.querySelector("#scroll").dispatchEvent(new Event("scroll")), 1)`)
		b.until(atEnd)
	}
	eval[any](ada, `(document.querySelector("#log .look").click(), 1)`)
	ada.until(`document.querySelector("#zoom").open && document.querySelector("#zoom img").naturalWidth > 0`)
	ada.shoot("zoom")
	eval[any](ada, `(document.querySelector("#zoom").click(), 1)`)
	ada.until(`!document.querySelector("#zoom").open`)

	old := time.Now().AddDate(0, 0, -2)
	if _, err := rooms.New(redis.Client(), rooms.Options{}).Append(t.Context(), "lobby", rooms.Message{
		Key: "old", UID: "eve", Name: "Eve", Text: "two days ago", At: old.UnixMilli(),
	}, nil); err != nil {
		t.Fatal(err)
	}
	ada.until(all + `.at(-1) === "two days ago"`)
	bob.say("today")
	ada.until(all + `.at(-1) === "today"`)
	days := eval[[]string](ada, notes)
	for _, day := range []time.Time{old, time.Now()} {
		if !slices.Contains(days, day.Format("Monday, January 2, 2006")) {
			t.Errorf("no separator for %s: %q", day, days)
		}
	}

	bob.do(chromedp.Navigate("about:blank"))
	ada.until(notes + `.includes("Bob left")`)
}
