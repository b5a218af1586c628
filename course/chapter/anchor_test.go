package chapter

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHas(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(root, "a.md"), []byte("# A\n\n### Start gate, and *more*\n"), 0o600))
	require.NoError(t, Has(root, "a.md#start-gate-and-more"))
	require.EqualError(t, Has(root, "a.md#start"), "a.md has no heading start")
	require.ErrorIs(t, Has(root, "b.md#a"), os.ErrNotExist)
}
