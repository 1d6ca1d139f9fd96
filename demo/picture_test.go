//go:build picture

package main_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// pace is how often the page is taken.
const pace = 125 * time.Millisecond

// TestPicture records the README's moving picture: 50 guests talk, a session moves to another node, and then a node is killed.
func TestPicture(t *testing.T) {
	d := startDemo(t, "")
	b := startBrowser(t, 1280, 720)
	b.enterWatched(d.url, "Ada", "lobby")
	eval[any](b, `(document.querySelector("#guests").click(), 1)`)
	b.until(`document.querySelectorAll("#cluster .session").length === 51`)
	waitFor(t, 3*time.Second) // until they talk

	dir := t.TempDir()
	var film []string
	shoot := func(long time.Duration) {
		t.Helper()
		for end := time.Now().Add(long); time.Now().Before(end); {
			began := time.Now()
			ctx, cancel := context.WithTimeout(b.ctx, patience)
			png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			name := filepath.Join(dir, fmt.Sprintf("%04d.png", len(film)))
			if err := os.WriteFile(name, png, 0o600); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Until(began.Add(pace)))
			film = append(film, "-d", strconv.FormatInt(time.Since(began).Milliseconds(), 10), name)
		}
	}
	press := func(act string) {
		t.Helper()
		eval[any](b, fmt.Sprintf(`(document.querySelector("[data-act=%s]").click(), 1)`, act))
	}
	b.say("Watch my line.")
	shoot(2 * time.Second)
	press("move-session")
	shoot(3500 * time.Millisecond)
	press("kill-node")
	shoot(6 * time.Second)
	if n := eval[int](b, "disconnects"); n != 0 {
		t.Errorf("%d times disconnected", n)
	}

	out, err := filepath.Abs("../docs/pictures/demo.webp")
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-loop", "0", "-min_size", "-lossy", "-q", "55"}, film...)
	if text, err := exec.Command("img2webp", append(args, "-o", out)...).CombinedOutput(); err != nil {
		t.Fatalf("img2webp, of Debian's package webp: %v\n%s", err, text)
	}
}
