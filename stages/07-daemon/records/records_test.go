package records

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

type thing struct {
	Name   string
	Labels map[string]string
	Count  int
}

func sample() thing {
	return thing{Name: "web", Labels: map[string]string{"a": "<b>&c"}, Count: 3}
}

func TestSaveAndLoad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "containers")
	s, err := Open[thing](dir)
	require.NoError(t, err)
	require.NoError(t, s.Save("one", sample()))
	require.NoError(t, s.Save("two", thing{Name: "db"}))
	require.NoError(t, os.Mkdir(s.Dir("half-made"), 0o700))

	s, err = Open[thing](dir)
	require.NoError(t, err)
	good, bad, err := s.LoadAll()
	require.NoError(t, err)
	require.Empty(t, bad)
	require.Equal(t, map[string]thing{"one": sample(), "two": {Name: "db"}}, good)

	require.NoError(t, s.Delete("one"))
	require.NoError(t, s.Delete("one"), "a second time changes nothing")
	good, _, err = s.LoadAll()
	require.NoError(t, err)
	require.NotContains(t, good, "one")
}

// Any single flipped byte is noticed or harmless, and never costs another record.
func TestAnyFlippedByte(t *testing.T) {
	dir := t.TempDir()
	s, err := Open[thing](dir)
	require.NoError(t, err)
	require.NoError(t, s.Save("other", thing{Name: "other"}))
	require.NoError(t, s.Save("one", sample()))
	path := filepath.Join(dir, "one", fileName)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for i := range whole {
		damaged := append([]byte(nil), whole...)
		damaged[i] ^= 0x01
		require.NoError(t, os.WriteFile(path, damaged, 0o600))
		good, bad, err := s.LoadAll()
		require.NoError(t, err)
		require.Equal(t, "other", good["other"].Name)
		if got, ok := good["one"]; ok {
			require.Equal(t, sample(), got, "byte %d was flipped and the record changed its meaning", i)
			continue
		}
		require.Len(t, bad, 1)
		require.Equal(t, "one", bad[0].ID)
		require.FileExists(t, bad[0].Path)
	}
}

func TestTruncated(t *testing.T) {
	s, err := Open[thing](t.TempDir())
	require.NoError(t, err)
	require.NoError(t, s.Save("one", sample()))
	require.NoError(t, os.Truncate(filepath.Join(s.Dir("one"), fileName), 0))
	good, bad, err := s.LoadAll()
	require.NoError(t, err)
	require.Empty(t, good)
	require.Len(t, bad, 1)
	require.True(t, s.Known("one"), "its directory stays for a person to look at")
}

func TestRemovalCutShort(t *testing.T) {
	dir := t.TempDir()
	s, err := Open[thing](dir)
	require.NoError(t, err)
	require.NoError(t, s.Save("one", sample()))
	require.NoError(t, os.Rename(s.Dir("one"), filepath.Join(dir, doomed+"one")))
	_, err = Open[thing](dir)
	require.NoError(t, err)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestIDsAreSingleComponents(t *testing.T) {
	s, err := Open[thing](t.TempDir())
	require.NoError(t, err)
	for _, id := range []string{"", ".", "..", "../x", "a/b", "a\x00b"} {
		require.Error(t, s.Save(id, thing{}), id)
		require.Error(t, s.Delete(id), id)
	}
}
