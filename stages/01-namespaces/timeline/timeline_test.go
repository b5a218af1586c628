package timeline_test

import (
	"bytes"
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/01-namespaces/isolate"
	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/01-namespaces/namespace"
	"github.com/slipway-engine/slipway/stages/01-namespaces/timeline"
)

// TestPicture draws the picture of chapter 1; UPDATE_GOLDEN=1 writes it.
func TestPicture(t *testing.T) {
	var kinds []namespace.Kind
	for _, k := range namespace.Kinds() {
		if slices.Contains([]string{"user", "pid", "mnt", "uts"}, k.File) {
			kinds = append(kinds, k)
		}
	}
	ids := []isolate.Range{{Inside: 0, Outside: 100000, Count: 65536}}
	plan, err := isolate.Plan(isolate.Request{New: kinds, Maps: isolate.Maps{Users: ids, Groups: ids}, MountProc: true, Hostname: "box", Argv: []string{"sh"}, Env: []string{"PATH=/bin"}})
	require.NoError(t, err)
	var got bytes.Buffer
	require.NoError(t, timeline.Draw(&got, "A plan as two lines of time", plan.Steps))
	path := filepath.Join("..", "..", "..", "docs", "pictures", "plan-timeline.svg")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(path, got.Bytes(), 0o644))
	}
	want, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		t.Skip("needs docs/pictures of the whole checkout")
	}
	require.NoError(t, err)
	require.Equal(t, string(want), got.String(), "UPDATE_GOLDEN=1 draws it again")
}

func TestTextsAreCutAndEscaped(t *testing.T) {
	var b bytes.Buffer
	steps := []launch.Step{
		{Name: "say <" + strings.Repeat("x", 100) + ">", Because: `it is "said" & done`},
		{Name: "clone3", Clone: new(launch.Clone)},
		{Name: "live", Side: launch.Child},
		{Name: "write the map", Side: launch.Parent},
		{Name: "execve", Side: launch.Child},
	}
	require.NoError(t, timeline.Draw(&b, "a & b", steps))
	require.Contains(t, b.String(), "<text x=\"32\" y=\"81\">1  say &lt;"+strings.Repeat("x", 36)+"…</text>")
	require.Contains(t, b.String(), strings.Repeat("x", 100), "whole, under the pointer")
	require.Equal(t, 4, strings.Count(b.String(), `class="turn" d=`), "clone, your turn, go on, the end")
	d := xml.NewDecoder(&b)
	for {
		if _, err := d.Token(); err == io.EOF {
			break
		} else {
			require.NoError(t, err)
		}
	}
	require.NoError(t, timeline.Draw(io.Discard, "nothing", nil))
}
