// Package gc decides what nobody can reach any more. It is a pure function over
// a graph: it touches no file and no database, so the whole rule can be tested
// with a drawing on paper.
package gc

import "fmt"

// Node is one thing that can be kept or swept.
type Node struct {
	Namespace string
	Type      Type
	Key       string // a digest, a snapshot key, a name or an id
}

// Type is the kind of a node. Snapshots carry their snapshotter's name:
// "snapshots/overlayfs".
type Type string

// The kinds of nodes.
const (
	Image     Type = "images"
	Container Type = "containers"
	Lease     Type = "leases"
	Content   Type = "content"
	Snapshots Type = "snapshots/" // prefix
)

// Snapshot is the type of the snapshots of one snapshotter.
func Snapshot(snapshotter string) Type { return Snapshots + Type(snapshotter) }

// Graph is what the metadata says at one moment. Containerd's words: a root is
// kept for its own sake (an image, a container, a lease, a label
// containerd.io/gc.root); an edge keeps its target for as long as its source is
// kept (an image its manifest, a label containerd.io/gc.ref.*, a snapshot its parent).
type Graph struct {
	All   []Node // everything that may be swept
	Roots []Node
	Flat  []Node // kept, but what they refer to is not: a lease labelled containerd.io/gc.flat
	Edges map[Node][]Node
}

// Sweep returns the nodes of g.All that no path from a root reaches, in the
// order of g.All. Edges to things that do not exist are harmless, and so are cycles.
func Sweep(g Graph) ([]Node, error) {
	live, err := Mark(g.Roots, func(n Node) ([]Node, error) { return g.Edges[n], nil })
	if err != nil {
		return nil, err
	}
	for _, n := range g.Flat {
		live[n] = true
	}
	var dead []Node
	for _, n := range g.All {
		if !live[n] {
			dead = append(dead, n)
		}
	}
	return dead, nil
}

// Mark returns everything reachable from the roots, and the roots themselves.
// refs says what a node refers to. When it fails, nothing may be swept: what we
// cannot read may be what keeps something alive.
func Mark(roots []Node, refs func(Node) ([]Node, error)) (map[Node]bool, error) {
	//ex:begin mgr.gc
	// The three colours: white is not in the map, grey is on the stack, black is
	// in the map and off the stack. A node is pushed once, when it turns grey, so
	// a cycle ends the walk and does not spin it.
	marked := make(map[Node]bool, len(roots))
	var grey []Node
	push := func(nodes []Node) {
		for _, n := range nodes {
			if !marked[n] {
				marked[n] = true
				grey = append(grey, n)
			}
		}
	}
	push(roots)
	for len(grey) > 0 {
		last := len(grey) - 1
		n := grey[last]
		grey = grey[:last]
		next, err := refs(n)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", n.Type, n.Key, err)
		}
		push(next)
	}
	return marked, nil
	//ex:stub
	// return nil, todo.Exercise("mgr.gc")
	//ex:end mgr.gc
}
