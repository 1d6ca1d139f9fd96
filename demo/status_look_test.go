package main_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
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
	} {
		url := c.show(t)
		for _, width := range []int64{1440, 360} {
			b.do(chromedp.EmulateViewport(width, 800), chromedp.Navigate(url))
			b.until(`document.querySelector("#live").dataset.state === "live" && document.querySelectorAll(".cell").length === ` + fmt.Sprint(c.nodes))
			for _, scheme := range []string{"light", "dark"} {
				b.scheme(scheme)
				b.legible(fmt.Sprintf("%s-%d-%s", name, width, scheme), width)
			}
		}
	}
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
	if list := eval[[]string](b, nameless+`.filter((e) => !e.includes("hidden"))`); len(list) > 0 {
		b.t.Errorf("%s: no name: %q", where, list)
	}
	b.shootAll(where, width)
}
