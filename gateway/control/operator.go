package control

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/sidway/sidway/gateway/config"
)

// ErrUnknownNode says that the cluster has no such node.
var ErrUnknownNode = errors.New("no such node")

// ErrSameAddress says that another node has the same address.
var ErrSameAddress = errors.New("one process is one node")

// ErrLastNode says that a node cannot be taken away because the cluster has no other.
var ErrLastNode = errors.New("it is the cluster's last node")

// Drain has a node get no new sessions, and its sessions end after some time, 0: never. A node that drains already gets the new
// deadline.
func (b *Board) Drain(ctx context.Context, cluster, node string, within time.Duration) error {
	if _, _, err := b.node(cluster, node); err != nil {
		return err
	}
	d := Drain{Since: time.Now().UTC().Truncate(time.Millisecond)}
	if within > 0 {
		d.Deadline = d.Since.Add(within)
	}
	if err := b.change(ctx, cluster, map[string]any{fieldDrain + node: d}); err != nil {
		return err
	}
	b.tell("drain", cluster, node, d.String())
	return nil
}

// Undrain has a node get new sessions again.
func (b *Board) Undrain(ctx context.Context, cluster, node string) error {
	nodes, _, err := b.node(cluster, node)
	if err != nil {
		return err
	}
	if err := b.change(ctx, cluster, map[string]any{fieldDrain + node: nil}); err != nil {
		return err
	}
	if nodes.isDrained(node) { // then not by an operator
		b.tell("undrain", cluster, node, "drain taken back, but the node itself asks for one: it gets no new sessions")
	} else {
		b.tell("undrain", cluster, node, "drain taken back: it gets new sessions")
	}
	return nil
}

// PutNode adds a node, or replaces the one of that name. n is valid: see config.NewNode.
func (b *Board) PutNode(ctx context.Context, cluster string, n config.Node) error {
	nodes, err := b.nodes(cluster)
	if err != nil {
		return err
	}
	for _, other := range nodes.List() {
		if other.Name != n.Name && other.URL == n.URL {
			return fmt.Errorf("%s is also node %s: %w", n.URL, other.Name, ErrSameAddress)
		}
	}
	if b.Refuse != nil {
		if err := b.Refuse(cluster, n); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(nodes.Base(), func(c config.Node) bool { return reflect.DeepEqual(c, n) }) {
		return b.change(ctx, cluster, map[string]any{fieldNode + n.Name: nil})
	}
	return b.change(ctx, cluster, map[string]any{fieldNode + n.Name: Node{URL: n.URL, Weight: n.Weight, Labels: n.Labels}})
}

// RemoveNode takes a node away. Its sessions go on as long as their requests are under way; then they are unknown.
func (b *Board) RemoveNode(ctx context.Context, cluster, node string) error {
	nodes, _, err := b.node(cluster, node)
	if err != nil {
		return err
	}
	if len(nodes.List()) == 1 {
		return fmt.Errorf("node %q of %q: %w", node, cluster, ErrLastNode)
	}
	values := map[string]any{fieldNode + node: nil, fieldDrain + node: nil}
	if slices.ContainsFunc(nodes.Base(), func(c config.Node) bool { return c.Name == node }) {
		values[fieldNode+node] = Node{Removed: true, Since: time.Now().UTC().Truncate(time.Second)}
	}
	return b.change(ctx, cluster, values)
}

// SetRelease gives nodes with a label a share of the new sessions, in place of what the configuration says; nil: what it says.
func (b *Board) SetRelease(ctx context.Context, cluster string, r *Release) error {
	nodes, err := b.nodes(cluster)
	if err != nil {
		return err
	}
	if r == nil {
		if err := b.change(ctx, cluster, map[string]any{fieldRelease: nil}); err != nil {
			return err
		}
		b.tell("release", cluster, "", "release: the configuration's share holds again")
		return nil
	}
	if !slices.ContainsFunc(nodes.List(), func(n config.Node) bool { return n.Labels[r.Label] == r.Value }) {
		return fmt.Errorf("%w of cluster %q with %s: %s", ErrUnknownNode, cluster, r.Label, r.Value)
	}
	if err := b.change(ctx, cluster, map[string]any{fieldRelease: r}); err != nil {
		return err
	}
	b.tell("release", cluster, "", r.String())
	return nil
}

func (b *Board) nodes(cluster string) (*Nodes, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.posts[cluster]; p != nil {
		return p.nodes, nil
	}
	return nil, fmt.Errorf("%w as %q", ErrUnknownCluster, cluster)
}

// node finds a cluster's node as it is now.
func (b *Board) node(cluster, node string) (*Nodes, config.Node, error) {
	nodes, err := b.nodes(cluster)
	if err != nil {
		return nil, config.Node{}, err
	}
	all := nodes.List()
	if i := slices.IndexFunc(all, func(n config.Node) bool { return n.Name == node }); i >= 0 {
		return nodes, all[i], nil
	}
	return nil, config.Node{}, fmt.Errorf("%w as %q in cluster %q", ErrUnknownNode, node, cluster)
}
