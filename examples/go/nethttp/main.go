// Command nethttp is a chat of one room. Start it as often as you like: all of them are one cluster, through Redis.
//
//	PORT=3001 REDIS=127.0.0.1:6379 go run ./nethttp
package main

import (
	"cmp"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/sidway/sidway/adapter"
)

func main() {
	rdb := redis.NewClient(&redis.Options{Addr: cmp.Or(os.Getenv("REDIS"), "127.0.0.1:6379")})

	opts := socket.DefaultServerOptions()
	adapter.Harden(opts) // before the server is made
	opts.SetAdapter(adapter.PubSub(rdb, adapter.Options{}))
	io := socket.NewServer(nil, opts)

	err := io.On("connection", func(clients ...any) {
		client := clients[0].(*socket.Socket)
		_ = client.On("say", func(args ...any) { _ = io.Emit("said", args...) })
	})
	if err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.Handle("/socket.io/", adapter.Handler(io))
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	server := &http.Server{
		Addr: "127.0.0.1:" + cmp.Or(os.Getenv("PORT"), "3001"), Handler: mux,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
	}
	log.Fatal(server.ListenAndServe())
}
