package main_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// wheel turns the wheel over an element, down by some pixels.
func (b *browser) wheel(selector string, down float64) {
	b.t.Helper()
	at := eval[struct{ X, Y, Width, Height float64 }](b, fmt.Sprintf(`document.querySelector(%q).getBoundingClientRect()`, selector))
	b.do(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, input.SynthesizeScrollGesture, input.SynthesizeScrollGestureParams{
			X: at.X + at.Width/2, Y: at.Y + at.Height/2, YDistance: -down, Speed: 20000, GestureSourceType: input.GestureSourceTypeMouse,
		})
		return chromedp.Void{}, err
	})
}

// atEnd tells whether the newest message is in view.
const atEnd = `(({ scrollHeight, scrollTop, clientHeight }) => scrollHeight - scrollTop - clientHeight < 2)(document.querySelector("#scroll"))`

// TestOnlyTheConversationScrolls fills the page with more messages and rooms than it has room for.
func TestOnlyTheConversationScrolls(t *testing.T) {
	const messages, rooms = 64, 30
	d := startDemo(t, "", "--nodes", "1", "--replicas", "1")
	u := startUsers(t, usersConfig{URL: d.url, Users: rooms, Rooms: rooms})
	u.do("enter", nil, nil)
	ada, bob := startBrowser(t, 1280, 800), startBrowser(t, 390, 844)
	ada.enter(d.url, "Ada", "lobby")
	for i := range messages {
		ada.say(fmt.Sprintf("message %d", i+1))
	}
	bob.enter(d.url, "Bob", "lobby")
	for name, b := range map[string]*browser{"desktop": ada, "phone": bob} {
		b.until(fmt.Sprintf(`%s.length === %d && document.querySelectorAll("#rooms li").length > %d`, all, messages, rooms))
		b.until(atEnd)
		b.shoot("scroll-" + name)
		over := []string{"#scroll", "#say", "header", "#side"}
		if name == "phone" {
			eval[any](b, `(document.querySelector("#open-side").click(), 1)`)
			over = []string{"#side", "header"}
		}
		for _, selector := range over {
			b.wheel(selector, 4000)
			b.wheel(selector, 4000) // the first one may only bring a list to its end
			b.shoot("scroll-" + name + "-" + strings.Trim(selector, "#"))
			p := eval[struct{ Height, Window, Scrolled float64 }](b, `{ height: document.documentElement.scrollHeight, window: innerHeight, scrolled: scrollY }`)
			if p.Height != p.Window || p.Scrolled != 0 {
				t.Fatalf("%s, wheel over %s: the page is %v px high in a window of %v, and scrolled by %v", name, selector, p.Height, p.Window, p.Scrolled)
			}
		}
		if name == "phone" {
			eval[any](b, `(document.querySelector("#open-side").click(), 1)`)
		}
		b.wheel("#scroll", -900)
		b.until("!" + atEnd)
	}
	u.do("leave", nil, nil)
}
