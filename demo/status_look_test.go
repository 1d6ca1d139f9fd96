package main_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// scheme has the browser ask for light or dark pages.
func (b *browser) scheme(name string) {
	b.t.Helper()
	b.do(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"}},
		})
		return chromedp.Void{}, err
	})
}

// shootAll keeps a picture of the whole page where SIDWAY_DEMO_SHOTS names a folder.
func (b *browser) shootAll(name string, width int64) {
	b.t.Helper()
	high := eval[int64](b, `document.documentElement.scrollHeight`)
	b.do(chromedp.EmulateViewport(width, min(high, 6000)))
	b.shoot(name)
	b.do(chromedp.EmulateViewport(width, 800))
}

// What the page looks like: with few nodes and with very many, wide and narrow, light and dark.
func TestStatusPageIsReadable(t *testing.T) {
	b := startBrowser(t, 1440, 800)
	for name, c := range map[string]crowd{
		"well": {nodes: 4, replicas: 3, well: true}, "few": {nodes: 4, replicas: 6}, "many": {nodes: 200, replicas: 50}, "strange": {nodes: 7, replicas: 2, cluster: hostile},
		"two": {nodes: 3, second: 24, replicas: 2, away: true},
	} {
		url := c.show(t)
		for _, width := range []int64{1440, 360} {
			b.do(chromedp.EmulateViewport(width, 800), chromedp.Navigate(url))
			b.until(`document.querySelector("#live").dataset.state === "live" && document.querySelectorAll(".cell").length === ` + fmt.Sprint(c.nodes+c.second))
			for _, scheme := range []string{"light", "dark"} {
				b.scheme(scheme)
				b.legible(fmt.Sprintf("%s-%d-%s", name, width, scheme), width)
			}
		}
	}
}

// A node that asks for no new sessions is not said to warm up for ever.
func TestStatusPageOfANodeThatAsksForLess(t *testing.T) {
	b := startBrowser(t, 1440, 800)
	b.do(chromedp.Navigate(crowd{nodes: 7, replicas: 2}.show(t)))
	b.until(`document.querySelectorAll("tbody tr").length >= 7`)
	b.until(fmt.Sprintf(stateOf, "n6") + ` === "asks for 0 %" && ` + fmt.Sprintf(stateOf, "n7") + ` === "warming up" && ` + fmt.Sprintf(stateOf, "n1") + ` === "healthy"`)
}

// legible checks what everybody needs: no scrolling to the side, contrast, and names for what can be operated.
func (b *browser) legible(where string, width int64) {
	b.t.Helper()
	if wide := eval[[]int64](b, `[document.documentElement.scrollWidth, innerWidth]`); wide[0] > wide[1] {
		b.t.Errorf("%s: %d wide in %d", where, wide[0], wide[1])
	}
	if list := eval[[]string](b, faint); len(list) > 0 {
		b.t.Errorf("%s: too faint: %q", where, list)
	}
	if list := eval[[]string](b, nameless+`.filter((e) => !/hidden|role="alert"/.test(e))`); len(list) > 0 {
		b.t.Errorf("%s: no name: %q", where, list)
	}
	b.shootAll(where, width)
}

// failures has the page note what goes wrong in it from its next load on.
func (b *browser) failures() func() []string {
	b.t.Helper()
	b.do(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{Source: `
			window.failed = [];
			addEventListener("error", (e) => failed.push(e.message));
			addEventListener("unhandledrejection", (e) => failed.push(String(e.reason)));
			addEventListener("securitypolicyviolation", (e) => failed.push(e.violatedDirective + " " + e.blockedURI));`})
		return chromedp.Void{}, err
	})
	return func() []string { return eval[[]string](b, `window.failed`) }
}

// The whole page can be worked by Tab, arrows, Enter and Escape, and one sees where one is.
func TestStatusPageByKeyboardAlone(t *testing.T) {
	url := crowd{nodes: 200, replicas: 50}.show(t)
	b := startBrowser(t, 1280, 800)
	failures := b.failures()
	b.do(chromedp.Navigate(url))
	b.until(`document.querySelectorAll(".cell").length === 200`)
	press := func(key, until string) {
		t.Helper()
		for range 120 {
			if eval[bool](b, "Boolean("+until+")") {
				return
			}
			b.do(chromedp.KeyEvent(key))
		}
		t.Fatalf("by %q alone, never: %s", key, until)
	}
	press(kb.Tab, `document.activeElement?.matches(".skip") && document.activeElement.getBoundingClientRect().top >= 0`)
	press(kb.Tab, `document.activeElement?.id === "sid"`)
	press(kb.Tab, `document.activeElement?.textContent === "Open n3"`)
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until(sheet + `.open && ` + sheet + `.contains(document.activeElement) && ` + sheet + `.textContent.includes("unhealthy")`)
	b.do(chromedp.KeyEvent(kb.Escape))
	b.until(`!` + sheet + `.open && document.activeElement?.textContent === "Open n3"`)
	press(kb.Tab, `document.activeElement?.matches(".cell")`)
	if outline := eval[string](b, `getComputedStyle(document.activeElement).outlineStyle`); outline == "none" {
		t.Error("nobody sees which bar is chosen")
	}
	press(kb.ArrowRight, `document.activeElement.getAttribute("aria-label").startsWith("n4,")`)
	b.until(`!document.querySelector("#tip").hidden && document.querySelector("#tip").textContent.startsWith("n4,")`)
	b.do(chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowUp), chromedp.KeyEvent(kb.End))
	b.until(`document.activeElement.getAttribute("aria-label").startsWith("n200,")`)
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until(sheet + `.open && document.querySelector("#node-name").textContent === "n200 of chat"`)
	press(kb.Tab, `document.activeElement?.textContent === "Drain n200 …"`)
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until(`document.activeElement?.value === "5m"`)
	b.do(chromedp.KeyEvent(kb.ArrowUp), chromedp.KeyEvent(kb.ArrowUp))
	b.until(`document.activeElement?.value === "0s" && document.activeElement.checked`)
	b.shoot("keyboard-drain")
	b.legible("drain", 1280)
	press(kb.Tab, `document.activeElement?.textContent === "Cancel"`)
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until(sheet + `.open && document.activeElement?.textContent === "Drain n200 …"`)
	b.do(chromedp.KeyEvent(kb.Escape))
	b.until(`document.activeElement?.matches(".cell")`)
	press(kb.Tab, `document.activeElement?.matches(".filter input")`)
	b.do(chromedp.KeyEvent("n19"))
	b.until(`[...document.querySelectorAll("tbody .name button")].map((e) => e.textContent).join() === "n19,n190,n191,n192,n193,n194,n195,n196,n197,n198,n199"`)
	b.do(chromedp.KeyEvent(kb.Backspace), chromedp.KeyEvent(kb.Backspace), chromedp.KeyEvent(kb.Backspace))
	press(kb.Tab, `document.activeElement?.textContent === "Show all 200 nodes"`)
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until(`document.querySelectorAll("tbody tr").length === 200`)
	if list := failures(); len(list) > 0 {
		t.Errorf("failed: %q", list)
	}
}

// What is wrong is said once, with a way to the node, and each node says for how long it has been as it is.
func TestStatusPageSaysWhatIsWrongOnce(t *testing.T) {
	url := crowd{nodes: 4, replicas: 6}.show(t)
	b := startBrowser(t, 1280, 800)
	b.do(chromedp.Navigate(url))
	b.until(`document.querySelectorAll("#problems li").length > 0`)
	once := `(() => {
		const [, first, more] = document.querySelector("#headline").textContent.match(/^(.*) \(and (\d+) more problems?\)$/) ?? [];
		const rows = [...document.querySelectorAll("#problems li")].filter((e) => e.dataset.level !== "info");
		return first && rows.length === Number(more) && !rows.some((e) => e.textContent.includes(first));
	})()`
	if !eval[bool](b, "Boolean("+once+")") {
		t.Errorf("said twice: %q", eval[string](b, `document.querySelector("#verdict").innerText`))
	}
	lasting := `[...document.querySelectorAll("tbody td.state small")].map((e) => e.textContent.replace(/\d+/, "#")).join()`
	b.until(lasting + ` === "for # s,for # min,,"`) // n3, n2, n1, n4
	b.until(`document.querySelector("#events li")?.dataset.level === "warn" && document.querySelector("#events li div").textContent === "fault n4 of chatseveral servers answer at the address of a node"`)
	b.do(chromedp.Click(chromedp.CSS("#open-first")))
	b.until(sheet + `.open && document.querySelector("#node-name").textContent === "n3 of chat" && /^unhealthy for \d+ s$/.test(` + sheet + `.querySelector(".chip").textContent)`)
	b.do(chromedp.KeyEvent(kb.Escape), chromedp.Navigate(crowd{nodes: 4, replicas: 3, well: true}.show(t)))
	b.until(`document.querySelector("#headline").textContent.startsWith("All is well") && document.querySelector("#open-first").hidden`)
}

// What comes from outside is text: names, reasons of probes, events.
func TestStatusPageShowsNamesAsText(t *testing.T) {
	url := crowd{nodes: 3, replicas: 2, cluster: hostile}.show(t)
	b := startBrowser(t, 1280, 800)
	failures := b.failures()
	b.do(chromedp.Navigate(url))
	b.until(`document.querySelector("#clusters h2")?.textContent.startsWith("<img") && document.querySelectorAll("#events li").length > 3`)
	eval[any](b, `(document.querySelectorAll("tbody tr button")[0].click(), 1)`)
	b.until(`document.querySelector("#node-name")?.textContent.includes("<img")`)
	if n := eval[int](b, `document.querySelectorAll("img").length`); n != 1 {
		t.Errorf("%d images beside the brand's", n-1)
	}
	if list := failures(); len(list) > 0 {
		t.Errorf("failed: %q", list)
	}
}
