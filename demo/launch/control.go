package launch

import (
	"crypto/subtle"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/sidway/sidway/demo/chat"
)

// What people at the page can have done.
const (
	actMove           = "move-session"
	actDrain          = "drain-node"
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
	r.GET("/phone", l.showPhone)
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

// act begins to do something and reports whether it is there. Who asks is not kept waiting, since a session with an
// acknowledgement pending does not move.
func (l *Launch) act(a chat.Act) bool {
	list := l.nodes
	if a.What == actRestartReplica {
		list = l.replicas
	}
	p := find(list, a.Name)
	switch {
	case a.What == actMove && a.SID != "" && (p != nil || a.Name == ""):
		l.errands.Go(func() { l.moveSession(l.running, a.SID, a.Name) })
	case a.What == actStopRedis && l.redis != nil:
		l.redis.pause()
	case p == nil:
		return false
	case a.What == actDrain:
		l.errands.Go(func() { l.drain(l.running, p) })
	case a.What == actKillNode, a.What == actRestartReplica:
		l.note(chat.Event{What: a.What, Name: p.name})
		p.end() // it is started again like any that ends
	default:
		return false
	}
	return true
}

func find(list []*process, name string) *process {
	i := slices.IndexFunc(list, func(p *process) bool { return p.name == name })
	if i < 0 {
		return nil
	}
	return list[i]
}
