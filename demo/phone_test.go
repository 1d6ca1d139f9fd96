package main_test

import (
	"bytes"
	"encoding/json"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rsc.io/qr"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/demo/chat"
)

// TestAQRCodeForPhones has nodes of both kinds ask a starter whose page phones can reach, and the page show what it says.
func TestAQRCodeForPhones(t *testing.T) {
	const url = "http://192.168.0.7:8080"
	code, err := qr.Encode(url, qr.M)
	if err != nil {
		t.Fatal(err)
	}
	starter := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/phone" {
			_ = json.NewEncoder(w).Encode(chat.Phone{URL: url, PNG: code.PNG()})
			return
		}
		_ = json.NewEncoder(w).Encode(chat.State{Nodes: []chat.Process{{Name: "n1", Up: true}}, Replicas: []chat.Process{}, Phone: url})
	}))
	t.Cleanup(starter.Close)
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	script, err := filepath.Abs("node/server.mjs")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Fatalf("this test needs node: %v", err)
	}
	redis := affinitytest.StartRedis(t)
	for kind, argv := range map[string][]string{"go": {path, "--node-only"}, "js": {"node", script}} {
		t.Run(kind, func(t *testing.T) {
			address := freeAddress(t)
			start(t, []string{"REDIS_URL=" + redis.URL(), "SIDWAY_DEMO_CONTROL=" + starter.URL}, append(argv, "--name", "n1", "--listen", address)...)
			eventually(t, "the node serves", func() bool {
				resp, err := http.Get("http://" + address + "/healthz")
				if err == nil {
					resp.Body.Close()
				}
				return err == nil
			})
			http.DefaultClient.CloseIdleConnections()
			b := startBrowser(t, 1280, 800)
			b.enter("http://"+address, "Ada", "lobby")
			b.until(`document.querySelector("#phone").hidden === false`)
			eval[any](b, `(document.querySelector("#phone").click(), 1)`)
			b.until(`document.querySelector("#zoom").open && document.querySelector("#zoom p").textContent === "` + url + `"`)
			b.until(`document.querySelector("#zoom img").naturalWidth > 0`)
			b.shoot("qr-" + kind)
			eval[any](b, `((async () => {
				const img = document.querySelector("#zoom img");
				const canvas = document.createElement("canvas");
				[canvas.width, canvas.height] = [img.naturalWidth, img.naturalHeight];
				canvas.getContext("2d").drawImage(img, 0, 0);
				window.dots = [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data].filter((v, i) => i % 4 === 0).map((v) => (v < 128 ? "1" : "0")).join("");
			})(), 1)`)
			b.until(`window.dots`)
			want, err := png.Decode(bytes.NewReader(code.PNG()))
			if err != nil {
				t.Fatal(err)
			}
			var dots strings.Builder
			for y := range want.Bounds().Dy() {
				for x := range want.Bounds().Dx() {
					if v, _, _, _ := want.At(x, y).RGBA(); v < 0x8000 {
						dots.WriteByte('1')
					} else {
						dots.WriteByte('0')
					}
				}
			}
			if eval[string](b, "dots") != dots.String() {
				t.Error("another picture than the starter's")
			}
		})
	}
}
