package launch

import (
	"crypto/subtle"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/sidway/sidway/demo/chat"
)

// What can be broken on purpose.
const (
	actStopRedis      = "stop-redis"
	actKillNode       = "kill-node"
	actRestartReplica = "restart-replica"
)

// controlHandler serves the nodes, which ask and act for the people at the page.
func (l *Launch) controlHandler() http.Handler {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Use(func(c *gin.Context) {
		if subtle.ConstantTimeCompare([]byte(c.GetHeader("Authorization")), []byte("Bearer "+l.token)) != 1 {
			c.AbortWithStatus(http.StatusUnauthorized)
		}
	})
	r.GET("/state", func(c *gin.Context) { c.JSON(http.StatusOK, l.state()) })
	r.POST("/act", func(c *gin.Context) {
		var a chat.Act
		if err := c.BindJSON(&a); err != nil {
			return
		}
		if !l.act(a) {
			c.String(http.StatusBadRequest, "there is no such thing here")
			return
		}
		c.Status(http.StatusOK)
	})
	return r
}

// act breaks something and reports whether it is there.
func (l *Launch) act(a chat.Act) bool {
	switch {
	case a.What == actStopRedis && l.redis != nil:
		l.redis.pause()
		return true
	case a.What == actKillNode:
		return stop(l.nodes, a.Name)
	case a.What == actRestartReplica:
		return stop(l.replicas, a.Name)
	}
	return false
}

// stop ends the process of this name; it is started again like any that ends.
func stop(list []*process, name string) bool {
	for _, p := range list {
		if p.name == name {
			p.end()
			return true
		}
	}
	return false
}
