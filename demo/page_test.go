package main_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// picture writes a PNG of about this many bytes, which does not compress.
func picture(t *testing.T, bytesWanted int) string {
	t.Helper()
	side := 1
	for side*side*3 < bytesWanted {
		side++
	}
	img := image.NewRGBA(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			img.Set(x, y, color.RGBA{uint8(rand.IntN(256)), uint8(rand.IntN(256)), uint8(rand.IntN(256)), 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "picture.png")
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	own = `[...document.querySelectorAll("#log li.mine")].map((li) => li.querySelector(".state").textContent)`
	all = `[...document.querySelectorAll("#log li:not(.note)")].map((li) => li.querySelector(".body")?.textContent ?? "(image)")`
)

func TestAChatOfTwo(t *testing.T) {
	d := startDemo(t, "")
	ada, bob := startBrowser(t, 1280, 800), startBrowser(t, 390, 844)
	ada.enter(d.url, "Ada", "lobby")
	ada.say("Is anybody here?")
	ada.until(own + `.join() === "sent"`)
	ada.shoot("desktop-alone")
	bob.enter(d.url, "Bob", "lobby")
	bob.shoot("phone-entered")
	ada.until(own + `.join() === "delivered"`)
	bob.until(all + `.join() === "Is anybody here?"`)
	bob.say("I am!")
	ada.until(all + `.length === 2`)
	ada.until(`document.querySelectorAll("#people li").length === 2`)

	eval[any](bob, `(document.querySelector("#text").value = "wa", document.querySelector("#text").dispatchEvent(new Event("input")))`)
	ada.until(`document.querySelector("#typing").textContent === "Bob is typing…"`)
	ada.shoot("desktop-typing")

	bob.do(chromedp.SetUploadFiles("#file", []string{picture(t, 900_000)}))
	bob.until(`!document.querySelector("#attached").hidden`)
	bob.say("look")
	ada.until(`document.querySelector("#log img.picture")?.naturalWidth > 0`)
	bob.until(`document.querySelector("#log img.picture")?.naturalWidth > 0`)

	ada.say("A longer message, of several lines, to see how it is broken where the window is narrow.\nAnd a second line.")
	bob.until(all + `.length === 4`)
	bob.until(`document.querySelector("#pending").children.length === 0`)
	ada.until(`document.querySelector("#my-replica").textContent.startsWith("r")`)
	for _, theme := range []string{"light", "dark"} {
		for name, b := range map[string]*browser{"desktop": ada, "phone": bob} {
			eval[any](b, `(document.documentElement.dataset.theme = "`+theme+`", 1)`)
			b.shoot(name + "-" + theme)
		}
	}
	eval[any](bob, `(document.querySelector("#open-panel").click(), 1)`)
	bob.until(`document.querySelector("#cluster .process")`)
	bob.shoot("phone-panel")
	eval[any](bob, `(document.querySelector("#open-panel").click(), document.querySelector("#open-side").click(), 1)`)
	bob.shoot("phone-side")
	ada.say("back to light")
	eval[any](ada, `(document.documentElement.dataset.theme = "light", 1)`)
	ada.shoot("desktop-light-2")

	// A tab that is loaded again is the same member, in the same room, and has the history.
	bob.do(chromedp.Reload())
	bob.until(`document.querySelector("#state").textContent === "connected"`)
	bob.until(all + `.length === 5`)
	ada.until(`document.querySelectorAll("#people li").length === 2`)
}
