package adapter_test

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/sidway/sidway/adapter/internal/redistest"
)

func (c *cluster) oneSocket() error {
	return emit(m{"rooms": []any{c.ids["b1"]}}, []any{"x"}, "b1")(c)
}

// elsewhere connects one client of each server to another namespace and emits there and in the main one.
func (c *cluster) elsewhere(nsp string) error {
	for _, name := range []string{"a-" + nsp, "b-" + nsp} {
		c.connect(name, nsp)
	}
	a, b := "a-"+nsp, "b-"+nsp
	redistest.Eventually(c.t, "two servers in "+nsp, func() bool {
		return c.a.do(m{"nsp": nsp}, "serverCount") == 2.0
	})
	if err := emit(m{}, []any{"main"}, everybody...)(c); err != nil {
		return err
	}
	c.a.do(m{"nsp": nsp}, "emit", "there", "x")
	for _, name := range []string{a, b} {
		if got := c.clients.await(name, "there", 1); !reflect.DeepEqual(got, [][]any{{"x"}}) {
			return fmt.Errorf("%s received %v", name, got)
		}
	}
	c.settle()
	for _, name := range everybody {
		if got := c.clients.got(name, "there"); len(got) != 0 {
			return fmt.Errorf("%s received %v", name, got)
		}
	}
	list, _ := c.a.do(m{"nsp": nsp}, "fetchSockets").([]any)
	if len(list) != 2 {
		return fmt.Errorf("fetchSockets in %s: %v", nsp, list)
	}
	return nil
}

func (c *cluster) namespace() error { return c.elsewhere("/chat") }
func (c *cluster) dynamic() error   { return c.elsewhere("/dynamic-7") }

func (c *cluster) socketBroadcast() error {
	c.clients.do(nil, "emit", "a1", "relay", "relayed", "x")
	return c.only("relayed", []any{"x"}, "a2", "b1", "b2")
}

func (c *cluster) socketToRoom() error {
	c.clients.do(nil, "emit", "a1", "relay-room", "one", "relayed-room", "x")
	return c.only("relayed-room", []any{"x"}, "b1")
}

func (c *cluster) answers(target m, event string, want ...any) error {
	v, _ := c.a.do(target, "emitWithAck", event, "x").(m)
	got, _ := v["responses"].([]any)
	slices.SortFunc(got, func(a, b any) int { return compareText(a, b) })
	if v["err"] != false || !reflect.DeepEqual(got, want) {
		return fmt.Errorf("answered %v, want %v", v, want)
	}
	return nil
}

func compareText(a, b any) int {
	x, y := fmt.Sprint(a), fmt.Sprint(b)
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

func (c *cluster) acknowledged() error {
	if err := c.answers(m{"timeout": 3000}, "ask", "a1", "a2", "b1", "b2"); err != nil {
		return err
	}
	return c.answers(m{"timeout": 3000}, "ask-empty", nil, nil, nil, nil)
}

func (c *cluster) acknowledgedByRoom() error {
	return c.answers(m{"timeout": 3000, "rooms": []any{"two"}}, "ask", "a2", "b2")
}

// acknowledgementTimesOut asks all, and the clients of b do not answer.
func (c *cluster) acknowledgementTimesOut() error {
	v, _ := c.a.do(m{"timeout": 400}, "emitWithAck", "ask-only-a", "x").(m)
	got, _ := v["responses"].([]any)
	slices.SortFunc(got, func(a, b any) int { return compareText(a, b) })
	if v["err"] != true || !reflect.DeepEqual(got, []any{"a1", "a2"}) {
		return fmt.Errorf("answered %v", v)
	}
	return nil
}

// fetched lists sockets by client.
func (c *cluster) fetched(target m) (map[string]m, error) {
	v, err := c.a.try(target, "fetchSockets")
	if err != nil {
		return nil, err
	}
	list, _ := v.([]any)
	found := map[string]m{}
	for _, e := range list {
		s, _ := e.(m)
		for name, id := range c.ids {
			if s["id"] == id {
				found[name] = s
			}
		}
	}
	if len(found) != len(list) {
		return nil, fmt.Errorf("fetched %v", list)
	}
	return found, nil
}

func (c *cluster) fetchSockets() error {
	s, err := c.fetched(m{})
	if err != nil || len(s) != 4 {
		return fmt.Errorf("fetched %d sockets: %w", len(s), err)
	}
	s, err = c.fetched(m{"local": true})
	if err != nil || len(s) != 2 || s["a1"] == nil {
		return fmt.Errorf("fetched %d local sockets: %w", len(s), err)
	}
	return nil
}

func (c *cluster) fetchRoom() error {
	s, err := c.fetched(m{"rooms": []any{"one"}})
	if err != nil || len(s) != 2 || s["b1"] == nil {
		return fmt.Errorf("fetched %v: %w", s, err)
	}
	want := []any{c.ids["b1"], "one"}
	slices.SortFunc(want, compareText)
	if rooms, _ := s["b1"]["rooms"].([]any); !reflect.DeepEqual(rooms, want) {
		return fmt.Errorf("rooms %v, want %v", rooms, want)
	}
	return nil
}

func (c *cluster) fetchData() error {
	data := m{"nick": "bée", "n": 12.0, "list": []any{1.0, nil, "x"}}
	c.clients.do(nil, "ask", "b1", "data", data)
	s, err := c.fetched(m{"rooms": []any{"one"}})
	if err != nil {
		return err
	}
	if got := s["b1"]["data"]; !reflect.DeepEqual(got, data) {
		return fmt.Errorf("data %v, want %v", got, data)
	}
	return nil
}

func (c *cluster) fetchHandshake() error {
	s, err := c.fetched(m{})
	if err != nil {
		return err
	}
	h, _ := s["b2"]["handshake"].(m)
	query, _ := h["query"].(m)
	auth, _ := h["auth"].(m)
	if query["who"] != "b2" || query["EIO"] != "4" || auth["token"] != "t-b2" || h["xcustom"] != "x-b2" ||
		h["secure"] != false || h["issued"] != "number" {
		return fmt.Errorf("handshake %v", h)
	}
	return nil
}

func (c *cluster) socketsJoin() error {
	c.a.do(m{"rooms": []any{"two"}}, "socketsJoin", []any{"three", "four"})
	redistest.Eventually(c.t, "all in room three", func() bool {
		s, err := c.fetched(m{"rooms": []any{"three"}})
		return err == nil && len(s) == 2
	})
	return emit(m{"rooms": []any{"four"}}, []any{"x"}, "a2", "b2")(c)
}

func (c *cluster) socketsLeave() error {
	c.a.do(m{}, "socketsLeave", "three")
	redistest.Eventually(c.t, "nobody in room three", func() bool {
		s, err := c.fetched(m{"rooms": []any{"three"}})
		return err == nil && len(s) == 0
	})
	return emit(m{"rooms": []any{"three", "one"}}, []any{"x"}, "a1", "b1")(c)
}

func (c *cluster) remoteSocket() error {
	target := m{"rooms": []any{c.ids["b2"]}}
	c.a.do(target, "remote", "emit", "remote", "x")
	if err := c.only("remote", []any{"x"}, "b2"); err != nil {
		return err
	}
	c.a.do(target, "remote", "join", "five")
	redistest.Eventually(c.t, "b2 in room five", func() bool {
		s, err := c.fetched(m{"rooms": []any{"five"}})
		return err == nil && len(s) == 1
	})
	v, _ := c.a.do(target, "remoteAsk", "ask", "x").(m)
	if v["err"] != false || !reflect.DeepEqual(v["r"], "b2") {
		return fmt.Errorf("remote socket answered %v", v)
	}
	return nil
}

// heard returns what b has heard of an event of servers.
func (c *cluster) heard(want []any) error {
	var got any
	redistest.Eventually(c.t, "b hears", func() bool {
		list, _ := c.b.do(nil, "heard").([]any)
		if len(list) > 0 {
			got = list[len(list)-1]
		}
		args, _ := got.([]any)
		return len(args) == len(want) && args[0] == want[0]
	})
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("b heard %v, want %v", got, want)
	}
	list, _ := c.a.do(nil, "heard").([]any)
	if len(list) != 0 {
		return fmt.Errorf("a heard itself: %v", list)
	}
	return nil
}

func (c *cluster) serverSideEmit() error {
	args := []any{"plain", 1.0, m{"k": []any{"v", nil}}}
	c.a.do(m{}, "serverSideEmit", append([]any{"note"}, args...)...)
	return c.heard(args)
}

func (c *cluster) serverSideEmitBinary() error {
	args := []any{"binary", []byte{1, 2, 255}}
	c.a.do(m{}, "serverSideEmit", append([]any{"note"}, args...)...)
	return c.heard(args)
}

func (c *cluster) serverSideEmitWithAck() error {
	v, _ := c.a.do(m{}, "serverSideEmitWithAck", "ask-node", "x").(m)
	list, _ := v["responses"].([]any)
	if v["err"] != false || len(list) != 1 || !reflect.DeepEqual(list[0], m{"from": c.b.name, "arg": "x"}) {
		return fmt.Errorf("answered %v", v)
	}
	return nil
}

func (c *cluster) serverCount() error {
	if n := c.a.do(m{}, "serverCount"); n != 2.0 {
		return fmt.Errorf("counted %v", n)
	}
	return nil
}

func (c *cluster) allRooms() error {
	v, err := c.a.try(m{}, "allRooms")
	if err != nil {
		return err
	}
	list, _ := v.([]any)
	for _, room := range []any{"one", "two", "four", "five", c.ids["a1"], c.ids["b1"]} {
		if !slices.Contains(list, room) {
			return fmt.Errorf("room %v is not in %v", room, list)
		}
	}
	if len(list) != 8 {
		return fmt.Errorf("rooms %v", list)
	}
	return nil
}

// gone checks that the clients of a room, and nobody else, are disconnected.
func (c *cluster) gone(room string, connection bool, want ...string) error {
	c.a.do(m{"rooms": []any{room}}, "disconnectSockets", connection)
	for _, name := range want {
		got := c.clients.await(name, "disconnect", 1)
		if len(got) != 1 || got[0][0] != "io server disconnect" {
			return fmt.Errorf("%s: %v", name, got)
		}
	}
	redistest.Eventually(c.t, "sockets gone", func() bool {
		s, err := c.fetched(m{"rooms": []any{room}})
		return err == nil && len(s) == 0
	})
	return nil
}

func (c *cluster) disconnectSockets() error {
	if err := c.gone("two", false, "a2", "b2"); err != nil {
		return err
	}
	if got := c.clients.got("a1", "disconnect"); len(got) != 0 {
		return fmt.Errorf("a1: %v", got)
	}
	return nil
}

func (c *cluster) disconnectConnections() error { return c.gone("one", true, "a1", "b1") }
