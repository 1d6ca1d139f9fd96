// Command gin is the same chat with gin.
//
//	PORT=3001 REDIS=127.0.0.1:6379 go run ./gin
package main

import (
	"cmp"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/gin-gonic/gin"
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

	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Use(gin.Recovery())
	r.Any("/socket.io/*any", gin.WrapH(adapter.Handler(io)))
	r.GET("/healthz", func(c *gin.Context) { c.String(http.StatusOK, "ok\n") })
	server := &http.Server{
		Addr: "127.0.0.1:" + cmp.Or(os.Getenv("PORT"), "3001"), Handler: r,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
	}
	log.Fatal(server.ListenAndServe())
}
