package config

import (
	"errors"
	"fmt"
)

// NewNode returns a node as a file would have it, of which nothing is left out but labels and a weight of 1. The error says which of
// them is wrong and what to write instead.
func NewNode(name, url string, weight int, labels map[string]string) (Node, error) {
	n := newNode()
	var err error
	if n.Name, err = parseName(name); err != nil {
		return Node{}, fmt.Errorf("name: %w", err)
	}
	if n.URL, err = parseURL(url); err != nil {
		return Node{}, fmt.Errorf("url: %w", err)
	}
	if weight != 0 {
		if n.Weight, err = parseWeight(fmt.Sprint(weight)); err != nil {
			return Node{}, fmt.Errorf("weight: %w", err)
		}
	}
	for name, value := range labels {
		if err := n.setLabel(name, value); err != nil {
			return Node{}, fmt.Errorf("labels: %w", err)
		}
	}
	return n, nil
}

// setLabel gives n a label.
func (n *Node) setLabel(name, value string) error {
	for _, text := range []string{name, value} {
		if _, err := parseLabel(text); err != nil {
			return err
		}
	}
	if name == "share" {
		return errors.New("share is no name for a label: in release it is the share of new sessions")
	}
	if n.Labels == nil {
		n.Labels = map[string]string{}
	}
	n.Labels[name] = value
	return nil
}

// NewRelease returns a release as a file would have it; share is as 10% or 0.1.
func NewRelease(label, value, share string) (Release, error) {
	for _, text := range []string{label, value} {
		if _, err := parseLabel(text); err != nil {
			return Release{}, err
		}
	}
	part, err := parseShare(share)
	if err != nil {
		return Release{}, fmt.Errorf("share: %w", err)
	}
	return Release{Label: label, Value: value, Share: part}, nil
}
