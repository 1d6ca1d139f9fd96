package gateway_test

import (
	"fmt"
	"strings"
	"testing"
)

// A node may say 1xx some times before it answers, which HTTP/1.1 clients learn, but not for ever.
func TestInterimAnswersWithoutEnd(t *testing.T) {
	t.Parallel()
	for _, status := range []int{100, 103} {
		interim := fmt.Sprintf("HTTP/1.1 %d Wait\r\n\r\n", status)
		n := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
			if strings.Contains(r.Head, "some=1") {
				c.send(strings.Repeat(interim, 20) + answer(200, "6"))
				return
			}
			for c.open() {
				c.send(interim)
			}
		})
		s := startGateway(t, withNodes(n))
		s.bind(aSID, n)
		for _, target := range []string{"/open?x=1", pollTarget(aSID)} {
			for more, want := range map[string]int{"&some=1": 200, "": 502} {
				t.Run(fmt.Sprint(status, target, more), func(t *testing.T) {
					c := raw(t, s.addr, get(target+more))
					r, passed := c.answer(), 0
					for ; r.StatusCode == status && passed < 1000; passed++ {
						r = c.answer()
					}
					if r.StatusCode != want {
						t.Errorf("answered %d %q behind %d others", r.StatusCode, r.Text, passed)
					}
					if status == 103 && passed < 20 || status == 100 && passed > 0 {
						t.Errorf("%d are passed on", passed)
					}
				})
			}
		}
		for _, c := range n.all() {
			if strings.Contains(string(c.bytes()), "x=1 ") {
				c.awaitEnd()
			}
		}
	}
}
