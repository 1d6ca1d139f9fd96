package main_test

import (
	"context"
	"errors"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// offline takes the network away from a browser, or gives it back. A WebSocket that is open stays so.
func (b *browser) offline(away bool) {
	b.t.Helper()
	b.do(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		all := &network.Conditions{Offline: away, DownloadThroughput: -1, UploadThroughput: -1}
		_, err := cdp.Call(ctx, t, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
			MatchedNetworkConditions: []*network.Conditions{all},
		})
		return chromedp.Void{}, err
	})
}

// leave takes the network away from a browser and waits until its page knows.
func (b *browser) leave() {
	b.t.Helper()
	b.offline(true)
	eval[any](b, `(document.querySelector("#cut").click(), 1)`)
	b.until(`document.querySelector("#state").textContent === "reconnecting…"`)
}

// reloadInVain loads the page again while the network is away: the browser shows an error in its place.
func (b *browser) reloadInVain() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	var failed *chromedp.LoadError
	if err := chromedp.Do(ctx, chromedp.Reload()); !errors.As(err, &failed) {
		b.t.Fatalf("loaded: %v", err)
	}
}

const (
	connected = `document.querySelector("#state")?.textContent === "connected"`
	waiting   = `[...document.querySelectorAll("#pending li .state")].map((s) => s.textContent)`
	kept      = `Object.keys(sessionStorage).some((name) => name.startsWith("waiting "))`
	// warns tells whether the browser would ask before it leaves the page.
	warns = `!dispatchEvent(new Event("beforeunload", { cancelable: true }))`
)

// TestAMessageThatWaitsOutlivesAReload loads the page again while messages wait, and while a node has one and could not
// say so.
func TestAMessageThatWaitsOutlivesAReload(t *testing.T) {
	d := startDemo(t, "")
	ada, bob := startBrowser(t, 1280, 800), startBrowser(t, 390, 844)
	ada.enter(d.url, "Ada", "lobby")
	bob.enter(d.url, "Bob", "lobby")

	ada.leave()
	ada.say("one")
	ada.say("two")
	ada.do(chromedp.SetUploadFiles("#file", []string{picture(t, 300_000)}))
	ada.until(`!document.querySelector("#attached").hidden`)
	ada.say("three, with a picture")
	ada.until(waiting + `.join() === "waiting,waiting,waiting" && document.querySelector("#pending img").naturalWidth > 0`)
	ada.shoot("reload-waiting")
	ada.reloadInVain()
	ada.offline(false)
	ada.do(chromedp.Reload())
	ada.until(connected)
	const three = `.join() === "one,two,three, with a picture"`
	bob.until(all + three)
	ada.until(all + three + ` && document.querySelectorAll("#pending li").length === 0`)
	ada.until(own + `.join() === "delivered,delivered,delivered"`)
	ada.shoot("reload-delivered")
	bob.until(`document.querySelector("#log img.picture").naturalWidth > 0`)

	// What is sent again after a reload stands in the log already.
	eval[any](ada, `(Storage.prototype.removeItem = () => {}, 1)`)
	ada.say("four")
	ada.until(own + `.at(-1) === "delivered"`)
	if !eval[bool](ada, kept) {
		t.Error("nothing was kept")
	}
	ada.do(chromedp.Reload())
	ada.until(connected + ` && !` + kept)
	const four = `.join() === "one,two,three, with a picture,four"`
	ada.until(all + four + ` && document.querySelectorAll("#pending li").length === 0`)
	ada.say("five")
	bob.until(all + `.at(-1) === "five"`)
	if got := eval[[]string](bob, all); len(got) != 5 {
		t.Errorf("twice: %q", got)
	}
}

// TestWhatCannotBeKeptIsWarnedOf has no room left in the tab's storage.
func TestWhatCannotBeKeptIsWarnedOf(t *testing.T) {
	d := startDemo(t, "", "--nodes", "1", "--replicas", "1")
	b := startBrowser(t, 1280, 800)
	b.enter(d.url, "Ada", "lobby")
	b.leave()
	b.say("kept")
	b.until(waiting + `.length === 1`)
	if eval[bool](b, warns) {
		t.Error("warned of a message that is kept")
	}
	eval[any](b, `(() => {
		for (let size = 8 << 20, n = 0; size; size >>= 1) {
			try { for (;;) sessionStorage.setItem("filler " + n++, "x".repeat(size)); } catch {}
		}
	})()`)
	b.say("not kept")
	b.until(waiting + `.length === 2 && ` + warns)
	b.offline(false)
	b.until(own + `.join() === "sent,sent"`)
	if eval[bool](b, warns) {
		t.Error("warned where nothing waits")
	}
}
