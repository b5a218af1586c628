package volumes

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
)

func TestVolumesOutliveTheStore(t *testing.T) {
	dir := t.TempDir()
	s, _, err := Open(dir)
	require.NoError(t, err)
	v, err := s.Create(Volume{Name: "data", Labels: map[string]string{"a": "b"}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(s.Path("data"), "f"), []byte("x"), 0o600))
	nameless, err := s.Create(Volume{})
	require.NoError(t, err)
	require.True(t, nameless.Anonymous)
	require.Len(t, nameless.Name, 64)

	s, bad, err := Open(dir)
	require.NoError(t, err)
	require.Empty(t, bad)
	again, err := s.Create(Volume{Name: "data"})
	require.NoError(t, err)
	require.Equal(t, v, again, "creating it again gives the one there is")
	require.FileExists(t, filepath.Join(s.Path("data"), "f"))
	require.Len(t, s.List(), 2)
	require.NoError(t, s.Remove("data"))
	require.NoDirExists(t, s.Path("data"))
	_, err = s.Get("data")
	require.EqualError(t, err, "get data: no such volume")
	require.Equal(t, 404, fault.Status(s.Remove("data")))
}

func TestNamesAreSingleComponents(t *testing.T) {
	s, _, err := Open(t.TempDir())
	require.NoError(t, err)
	for _, name := range []string{"../x", "a/b", ".", "..", ".hidden", "a", "x\x00y", "-x"} {
		_, err := s.Create(Volume{Name: name})
		require.Equal(t, 400, fault.Status(err), name)
	}
	_, err = s.Create(Volume{Name: "nfs", Options: map[string]string{"type": "nfs"}})
	require.Equal(t, 501, fault.Status(err))
}
