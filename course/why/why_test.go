package why_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/course/exercise"
	"github.com/slipway-engine/slipway/course/why"
)

func TestPages(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "docs", "why"), 0o755))
	for _, name := range []string{"NS-MNT-1", "CG-MEM-1", "README"} {
		require.NoError(t, os.WriteFile(filepath.Join(root, "docs", "why", name+".md"), []byte("because\n"), 0o600))
	}
	require.Equal(t, []string{"CG-MEM-1", "NS-MNT-1"}, why.Codes(root))
	page, err := why.Page(root, "ns-mnt-1")
	require.NoError(t, err)
	require.Equal(t, "because\n", page)
	_, err = why.Page(root, "NS-MNT-9")
	require.EqualError(t, err, "no page for NS-MNT-9: there are NS-MNT-1")
	_, err = why.Page(root, "../../etc/passwd")
	require.ErrorContains(t, err, "is no code")
	require.Equal(t, []string{"NS-JOIN-1"}, why.Missing(root, []exercise.Exercise{
		{Mistakes: []exercise.Mistake{{Code: "NS-MNT-1"}, {Code: "NS-JOIN-1"}, {Code: "NS-JOIN-1"}}},
	}))
}
