package launch

import (
	"net"
	"net/http"

	"github.com/gin-gonic/gin"
	"rsc.io/qr"

	"github.com/sidway/sidway/demo/chat"
)

// phoneURL is what a phone in the same network opens, "" where the page is for this machine alone. own are this machine's
// addresses.
func phoneURL(listens net.Addr, own []net.Addr) string {
	tcp, ok := listens.(*net.TCPAddr)
	if !ok || tcp.IP.IsLoopback() {
		return ""
	}
	_, port, _ := net.SplitHostPort(tcp.String())
	if !tcp.IP.IsUnspecified() {
		return "http://" + net.JoinHostPort(tcp.IP.String(), port)
	}
	for _, a := range own {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return "http://" + net.JoinHostPort(n.IP.String(), port)
		}
	}
	return ""
}

// showPhone answers with the address for phones and its QR code, a PNG.
func (l *Launch) showPhone(c *gin.Context) {
	if l.phone == "" {
		c.String(http.StatusNotFound, "the page is for this machine alone: start it with --listen :8080")
		return
	}
	code, err := qr.Encode(l.phone, qr.M)
	if err != nil {
		c.String(http.StatusInternalServerError, err.Error())
		return
	}
	code.Scale = 8
	c.JSON(http.StatusOK, chat.Phone{URL: l.phone, PNG: code.PNG()})
}
