package state

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIDs(t *testing.T) {
	for _, id := range []string{"a", "web-1", "a.b", "A_b+c", strings.Repeat("f", 64)} {
		require.NoError(t, CheckID(id), id)
	}
	for _, id := range []string{"", ".", "..", "a/b", "../a", "a\x00", "a b", "a\n", strings.Repeat("x", 2000)} {
		require.Error(t, CheckID(id), id)
	}
}

func TestLifeOfARecord(t *testing.T) {
	root, err := Open(filepath.Join(t.TempDir(), "run"))
	require.NoError(t, err)
	_, err = root.Find("web")
	require.ErrorIs(t, err, ErrNotExist)
	dir, err := root.Reserve("web")
	require.NoError(t, err)
	defer dir.Close()
	_, err = root.Reserve("web")
	require.ErrorIs(t, err, ErrExist)
	_, err = dir.Get()
	require.ErrorIs(t, err, ErrNotExist, "reserved, not created")
	want := &Record{ID: "web", Bundle: "/b", Process: &Process{PID: 1}}
	require.NoError(t, dir.Put(want))
	got, err := dir.Get()
	require.NoError(t, err)
	require.Equal(t, want, got)
	ids, err := root.List()
	require.NoError(t, err)
	require.Equal(t, []string{"web"}, ids)
	st, err := os.Stat(dir.Path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), st.Mode().Perm())
	require.NoError(t, dir.Remove())
	_, err = root.Find("web")
	require.ErrorIs(t, err, ErrNotExist)
}

func TestATornRecordIsAnErrorThatNamesTheFile(t *testing.T) {
	root, _ := Open(t.TempDir())
	dir, err := root.Reserve("web")
	require.NoError(t, err)
	defer dir.Close()
	require.NoError(t, os.WriteFile(filepath.Join(dir.Path, recordName), []byte(`{"id":"we`), 0o600))
	_, err = dir.Get()
	require.ErrorContains(t, err, "web/state.json")
}

func TestAliveIsThatProcessAndNoZombie(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	require.NoError(t, cmd.Start())
	p, err := Identify(cmd.Process.Pid)
	require.NoError(t, err)
	require.True(t, p.Alive())
	other := *p
	other.StartTime++
	require.False(t, other.Alive(), "another process with the same pid")
	_, err = other.PIDFD()
	require.Error(t, err)
	other = *p
	other.Boot = "another boot"
	require.False(t, other.Alive())
	require.NoError(t, cmd.Process.Kill())
	require.Eventually(t, func() bool { return !p.Alive() }, 10e9, 1e6, "a zombie is not alive, although kill(pid, 0) would reach it")
	_ = cmd.Wait()
}

func TestStatOfAHostileName(t *testing.T) {
	status, start, err := parseStat([]byte("12 (a) Z 1 2) S 1 1 1 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0\n"))
	require.NoError(t, err)
	require.Equal(t, byte('S'), status)
	require.Equal(t, uint64(4711), start)
}
