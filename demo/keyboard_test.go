package main_test

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// nameless lists what can be operated and has no name that a screen reader could say, and images without a text.
const nameless = `[...document.querySelectorAll("button, input, textarea, select, [role], img")].filter((e) => {
	if (e.matches("img")) return !e.hasAttribute("alt");
	const labelled = e.getAttribute("aria-labelledby");
	const name = e.ariaLabel || (labelled && document.getElementById(labelled)?.textContent) || e.labels?.[0]?.textContent || e.textContent;
	return !name?.trim() && !e.matches("[role=status]");
}).map((e) => e.outerHTML.slice(0, 80))`

// faint lists texts whose contrast with what is behind them is below 4.5 to 1.
const faint = `(() => {
	const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
	const rgb = (colour) => {
		paint.clearRect(0, 0, 1, 1);
		paint.fillStyle = colour;
		paint.fillRect(0, 0, 1, 1);
		return [...paint.getImageData(0, 0, 1, 1).data];
	};
	const light = ([r, g, b]) => {
		const [x, y, z] = [r, g, b].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
		return 0.2126 * x + 0.7152 * y + 0.0722 * z;
	};
	const mix = (over, under, share) => over.map((v, i) => v * share + under[i] * (1 - share));
	const share = (e) => (e ? Number(getComputedStyle(e).opacity) * share(e.parentElement) : 1);
	const behind = (e) => {
		for (; e; e = e.parentElement) {
			const colour = rgb(getComputedStyle(e).backgroundColor);
			if (colour[3] === 255) return colour.slice(0, 3);
		}
		return [255, 255, 255];
	};
	const found = [];
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n = walk.nextNode(); n; n = walk.nextNode()) {
		const e = n.parentElement;
		if (!n.textContent.trim() || !e.checkVisibility() || e.closest(".hidden, script, noscript, svg, title, .skip")) continue;
		const style = getComputedStyle(e);
		const ground = behind(e);
		const ink = mix(rgb(style.color).slice(0, 3), ground, share(e));
		const [a, b] = [light(ink), light(ground)].sort((x, y) => y - x);
		const ratio = (a + 0.05) / (b + 0.05);
		if (ratio < 4.5) found.push(e.className + " " + n.textContent.trim().slice(0, 30) + " " + ratio.toFixed(2));
	}
	return [...new Set(found)];
})()`

// TestByKeyboardAlone goes in, chats and works the panel without a pointer.
func TestByKeyboardAlone(t *testing.T) {
	d := startDemo(t, "")
	b := startBrowser(t, 1280, 800)
	b.do(chromedp.Navigate(d.url))
	b.until(`document.activeElement?.id === "name"`)
	b.shoot("welcome")
	legible := func(where string) {
		t.Helper()
		if list := eval[[]string](b, nameless); len(list) > 0 {
			t.Errorf("%s: no name: %q", where, list)
		}
		for _, theme := range []string{"light", "dark"} {
			eval[any](b, `(document.documentElement.dataset.theme = "`+theme+`", 1)`)
			if list := eval[[]string](b, faint); len(list) > 0 {
				t.Errorf("%s, %s: too faint: %q", where, theme, list)
			}
		}
	}
	legible("at the door")
	b.do(chromedp.KeyEvent("Ada" + kb.Enter))
	b.until(`document.activeElement?.id === "text" && document.querySelector("#state").textContent === "connected"`)
	b.do(chromedp.KeyEvent("Hello" + kb.Enter))
	b.until(own + `.join() === "sent"`)
	b.until(`document.querySelector("#cluster .process") && document.querySelectorAll("#people li").length === 1`)
	legible("in a room")

	// Backwards from the message field to the rooms, where another one is entered.
	press := func(key, until string, options ...chromedp.KeyOption) {
		t.Helper()
		for range 40 {
			if eval[bool](b, "Boolean("+until+")") {
				return
			}
			b.do(chromedp.KeyEvent(key, options...))
		}
		t.Fatalf("by %q alone, never: %s", key, until)
	}
	press(kb.Tab, `document.activeElement?.id === "new-room-name"`)
	b.do(chromedp.KeyEvent("attic" + kb.Enter))
	b.until(`document.querySelector("#room-title").textContent === "attic" && document.querySelector("#state").textContent === "connected"`)
	press(kb.Tab, `document.activeElement?.id === "polling"`)
	b.do(chromedp.KeyEvent(" "))
	b.until(`document.querySelector("#my-transport").textContent === "polling" && document.querySelector("#state").textContent === "connected"`)
	press(kb.Tab, `document.activeElement?.dataset.act === "kill-node"`)
	b.watch("#cluster .down")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until(`document.querySelector("#events").textContent.includes("was killed")`)
	b.until(seen("#cluster .down") + ` && document.querySelector("#state").textContent === "connected"`)
	b.shoot("node-killed")
	b.do(chromedp.KeyEvent(kb.Escape))
	b.until(`!document.querySelector("#panel").classList.contains("open")`)
}
