package gc

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
)

// n makes a node from one letter; c is content, s a snapshot, i an image, l a lease.
func n(key string) Node {
	kinds := map[byte]Type{'i': Image, 'c': Content, 's': Snapshot("o"), 'l': Lease}
	return Node{Namespace: "ns", Type: kinds[key[0]], Key: key}
}

// draw reads "i1>c1 c1>c2" as edges and the names after "all" and "roots".
func draw(all, roots, edges string) Graph {
	g := Graph{Edges: map[Node][]Node{}}
	for _, k := range strings.Fields(all) {
		g.All = append(g.All, n(k))
	}
	for _, k := range strings.Fields(roots) {
		g.Roots = append(g.Roots, n(k))
	}
	for _, e := range strings.Fields(edges) {
		from, to, _ := strings.Cut(e, ">")
		g.Edges[n(from)] = append(g.Edges[n(from)], n(to))
	}
	return g
}

func keys(nodes []Node) string {
	var all []string
	for _, n := range nodes {
		all = append(all, n.Key)
	}
	return strings.Join(all, " ")
}

// TestSweep is the test of mgr.gc.
func TestSweep(t *testing.T) {
	for _, tc := range []struct {
		code, title       string
		all, roots, edges string
		dead              string
		means             string
	}{
		{
			"MGR-GC-1", "an image keeps what it names, and what that names", "c1 c2 c3 s1 s2", "i1", "i1>c1 c1>c2 c2>s2 s2>s1", "c3",
			"a manifest keeps its config, the config the topmost snapshot, and that all below it. Who looks only one step far from the roots sweeps the layers of images in use.",
		},
		{
			"MGR-GC-2", "a cycle that nothing reaches is garbage", "c1 c2 c3", "i1", "i1>c3 c1>c2 c2>c1", "c1 c2",
			"counting references is not enough: these two refer to each other, and nobody refers to them. Only what can be reached from a root lives.",
		},
		{
			"MGR-GC-3", "a cycle that a root reaches ends the walk", "c1 c2 c3", "i1", "i1>c1 c1>c2 c2>c1", "c3",
			"the walk goes round for ever, or forgets what it has seen: a node must be marked when it is first met.",
		},
		{
			"MGR-GC-1", "a lease keeps a pull that has no image yet", "c1 c2 s1", "l1", "l1>c1 l1>s1", "c2",
			"a lease is a root like an image: it is what keeps the blobs of a pull under way.",
		},
		{
			"MGR-GC-4", "an edge to something that is not there is harmless", "c1", "i1", "i1>c9 c9>c1", "",
			"an image may name a blob that was never fetched (another platform's). It is followed all the same.",
		},
	} {
		// The first wrong drawing ends the test: one explanation at a time.
		dead, err := sweep(draw(tc.all, tc.roots, tc.edges))
		teach.Begun(t, err)
		if dead == tc.dead && err == nil {
			continue
		}
		d := teach.Diagnosis{
			Exercise: "mgr.gc", Title: tc.title, Code: tc.code,
			Did:  "drew a graph and asked your Mark() what lives\nthings " + tc.all + "   roots " + tc.roots + "   edges " + tc.edges,
			Saw:  "swept: " + dead,
			Want: "swept: " + tc.dead, Means: tc.means,
			Try: "draw it on paper, and put a finger on each node once", Read: "docs/06-manager.md#collect",
		}
		if err != nil {
			d.Saw = "error: " + err.Error()
		}
		teach.Fail(t, d)
	}
}

// sweep is Sweep with a bound: a walk that goes round for ever ends with an error.
func sweep(g Graph) (dead string, err error) {
	steps := 0
	live, err := Mark(g.Roots, func(n Node) ([]Node, error) {
		if steps++; steps > 1000 {
			return nil, errors.New("asked for the edges of a node a thousand times")
		}
		return g.Edges[n], nil
	})
	var swept []Node
	for _, n := range g.All {
		if !live[n] {
			swept = append(swept, n)
		}
	}
	return keys(swept), err
}

// TestMarkStopsAtAnError: what cannot be read may be what keeps something alive.
func TestMarkStopsAtAnError(t *testing.T) {
	broken := errors.New("bad record")
	_, err := Mark([]Node{n("i1")}, func(Node) ([]Node, error) { return nil, broken })
	teach.Begun(t, err)
	require.ErrorIs(t, err, broken)
}

func TestFlat(t *testing.T) {
	g := draw("c1 c2", "", "c1>c2")
	g.Flat = []Node{n("c1")}
	dead, err := Sweep(g)
	teach.Begun(t, err)
	require.NoError(t, err)
	require.Equal(t, "c2", keys(dead))
}

// TestAgainstNaive compares with the definition, on random graphs.
func TestAgainstNaive(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 200 {
		var g Graph
		g.Edges = map[Node][]Node{}
		for i := range 12 {
			g.All = append(g.All, Node{Key: string(rune('a' + i))})
		}
		for range r.IntN(25) {
			from := g.All[r.IntN(12)]
			g.Edges[from] = append(g.Edges[from], g.All[r.IntN(12)])
		}
		g.Roots = g.All[:r.IntN(3)]
		dead, err := Sweep(g)
		teach.Begun(t, err)
		require.NoError(t, err)
		live := map[Node]bool{}
		for _, n := range g.Roots {
			live[n] = true
		}
		for range g.All { // twelve rounds reach everything
			for from, tos := range g.Edges {
				for _, to := range tos {
					live[to] = live[to] || live[from]
				}
			}
		}
		for _, n := range g.All {
			require.Equal(t, !live[n], contains(dead, n))
		}
	}
}

func contains(nodes []Node, n Node) bool {
	for _, x := range nodes {
		if x == n {
			return true
		}
	}
	return false
}
