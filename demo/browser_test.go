package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// browser is a headless Chromium of its own, with one tab.
type browser struct {
	t   *testing.T
	ctx context.Context
}

func startBrowser(t *testing.T, width, height int64) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("this test needs chromium: %v", err)
	}
	dir := t.TempDir()
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(dir), chromedp.Headless, chromedp.NoSandbox, chromedp.NoFirstRun,
	}
	for _, flag := range []string{
		"disable-gpu", "disable-quic", "disable-background-networking", "disable-component-update", "disable-sync",
		"disable-background-timer-throttling", "hide-scrollbars", "disable-dev-shm-usage",
	} {
		options = append(options, chromedp.Flag(flag, true))
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx}
	// The browser lives as long as the context of its first action, so that one has no limit.
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, height)); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// eval returns the value of an expression, in JSON.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	var v T
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("JSON.stringify("+expression+") ?? 'null'"))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		b.t.Fatalf("%s: %q: %v", expression, text, err)
	}
	return v
}

func (b *browser) until(condition string) {
	b.t.Helper()
	eventually(b.t, condition, func() bool { return eval[bool](b, "Boolean("+condition+")") })
}

// watch has the page note from now on which of the selectors it has shown; seen says it of one, however short it was there.
func (b *browser) watch(selectors ...string) {
	b.t.Helper()
	list, err := json.Marshal(selectors)
	if err != nil {
		b.t.Fatal(err)
	}
	eval[any](b, `(window.shown = new Set(), new MutationObserver(() => `+string(list)+`.forEach((s) => document.querySelector(s) && shown.add(s)))
		.observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["class"] }), 1)`)
}

func seen(selector string) string { return fmt.Sprintf("shown.has(%q)", selector) }

// enter opens the page as a new user does.
func (b *browser) enter(url, name, room string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url))
	b.until(`!document.querySelector("#welcome").hidden`)
	eval[any](b, fmt.Sprintf(`(document.querySelector("#name").value = %q, document.querySelector("#first-room").value = %q,
		document.querySelector("#welcome").requestSubmit())`, name, room))
	b.until(`document.querySelector("#state").textContent === "connected"`)
}

// say types a message and sends it.
func (b *browser) say(text string) {
	b.t.Helper()
	eval[any](b, fmt.Sprintf(`(document.querySelector("#text").value = %q, document.querySelector("#say").requestSubmit())`, text))
}

// shoot keeps a picture of the page where SIDWAY_DEMO_SHOTS names a folder.
func (b *browser) shoot(name string) {
	b.t.Helper()
	dir := os.Getenv("SIDWAY_DEMO_SHOTS")
	if dir == "" {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}
