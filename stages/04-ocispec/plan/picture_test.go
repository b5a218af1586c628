package plan_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/01-namespaces/timeline"
	"github.com/slipway-engine/slipway/stages/04-ocispec/plan"
)

// TestPicture draws the picture of chapter 4; UPDATE_GOLDEN=1 writes it.
func TestPicture(t *testing.T) {
	p, err := plan.Compile(load(t, "small"), v2(), plan.Request{ID: "web"}, plan.Acts{})
	require.NoError(t, err)
	var got bytes.Buffer
	require.NoError(t, timeline.Draw(&got, "A container's birth", p.Steps))
	path := filepath.Join("..", "..", "..", "docs", "pictures", "birth.svg")
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
