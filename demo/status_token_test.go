package main_test

import (
	"fmt"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

const signIn = `document.querySelector("#sign-in")`

// elsewhere returns the address of a proxy before the admin address, whose clients are not on this machine, as it says.
func (o *operated) elsewhere() string {
	to := &url.URL{Scheme: "http", Host: o.admin}
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.SetXForwarded()
		r.Out.Host = r.In.Host
	}})
	o.t.Cleanup(func() {
		proxy.CloseClientConnections()
		proxy.Close()
	})
	return proxy.URL
}

// restart has sidway serve again with another token.
func (o *operated) restart(old, token string) {
	o.t.Helper()
	o.sidway.end(syscall.SIGKILL)
	text, err := os.ReadFile(o.config)
	if err != nil {
		o.t.Fatal(err)
	}
	if err := os.WriteFile(o.config, []byte(strings.Replace(string(text), old, token, 1)), 0o644); err != nil {
		o.t.Fatal(err)
	}
	o.serve()
}

// An operator on another machine is asked for the token once, and then sees and changes what one on the replica's own does; also after a
// reload of the page, and not with a token that was taken back. All of it by the keyboard.
func TestStatusPageFromAnotherMachine(t *testing.T) {
	const each, next = 5, "another-token"
	o := startOperated(t, each)
	b := startBrowser(t, 1280, 800)
	failures := b.failures()
	page := o.elsewhere()
	b.do(chromedp.Navigate(page))
	asks := func(says string) {
		t.Helper()
		b.until(fmt.Sprintf(`!%s.hidden && document.activeElement?.name === "token" && %[1]s.querySelector("[role=alert]").textContent === %q`, signIn, says))
	}
	give := func(token string) { b.do(chromedp.KeyEvent(token + kb.Enter)) }
	live := `document.querySelector("#live").dataset.state === "live"`
	signedIn := signIn + `.hidden && ` + live
	asks("")
	b.until(`document.querySelector("#headline").textContent === "Not connected: the replica asks for its token"`)
	for _, wrong := range []string{"a guess", "жетон"} {
		give(wrong)
		asks("That is not the token.")
	}
	if n := eval[int](b, `sessionStorage.length + localStorage.length`); n > 0 {
		t.Error("a wrong token is kept")
	}
	for _, width := range []int64{1280, 360} {
		b.do(chromedp.EmulateViewport(width, 800))
		for _, scheme := range []string{"light", "dark"} {
			b.scheme(scheme)
			b.legible(fmt.Sprintf("token-%d-%s", width, scheme), width)
		}
	}
	b.do(chromedp.EmulateViewport(1280, 800))
	give(token)
	b.until(signedIn + fmt.Sprintf(` && %s === %d && %s === "ok"`, total, 2*each, level))
	b.shoot("token-signed-in")
	o.find(b)
	b.do(chromedp.Click(chromedp.CSS(`button[aria-label="Drain n2"]`)))
	b.until(sheet + `.open && document.activeElement.name === "deadline" && ` + sheet + `.textContent.includes("The token is kept")`)
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until(sheet + `.querySelector(".chip.draining")`)
	b.do(chromedp.KeyEvent(kb.Escape))

	b.do(chromedp.Navigate(page))
	b.until(signedIn)
	eval[any](b, `(sessionStorage.clear(), document.querySelector("#sid").focus(), 1)`)
	b.do(chromedp.KeyEvent("nobodyknowsthissession" + kb.Enter)) // the stream goes on meanwhile
	asks("")
	give(token)
	b.until(signIn + `.hidden && document.querySelector("#session").textContent.includes("No such session")`)
	b.do(chromedp.KeyEvent(kb.Escape))

	o.restart(token, next)
	asks("The token that was kept is not the replica's any more.")
	b.until(`document.querySelector("#live").dataset.state === "stale"`)
	b.shoot("token-taken-back")
	give(next)
	b.until(signedIn)
	if kept := eval[[]string](b, `[...Object.values(sessionStorage), ...Object.values(localStorage)]`); len(kept) != 1 || kept[0] != next {
		t.Errorf("kept: %q", kept)
	}
	o.restart(", token: "+next, "")
	b.do(chromedp.Navigate(page))
	b.until(`/set admin.token/.test(document.querySelector("#headline").textContent) && ` + signIn + `.hidden`)
	b.legible("token-none", 1280)
	if list := failures(); len(list) > 0 {
		t.Errorf("failed: %q", list)
	}
}
