package oci

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMessageIsTheLastErrorOfThisRun(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log.json")
	old := `{"level":"error","msg":"yesterday"}` + "\n"
	now := `{"level":"warning","msg":"hm"}` + "\n" + `{"level":"error","msg":"first"}` + "\nnot json\n" +
		`{"level":"error","msg":"exec: \"x\": not found"}` + "\n" + `{"level":"debug","msg":"bye"}` + "\n"
	require.NoError(t, os.WriteFile(log, []byte(old+now), 0o600))
	require.Equal(t, `exec: "x": not found`, message(log, int64(len(old)), nil))
	require.Equal(t, "on stderr", message(log, int64(len(old+now)), []byte("usage\non stderr\n")))
	require.Equal(t, "", message(filepath.Join(log, "nowhere"), 0, nil))
}

func FuzzLastError(f *testing.F) {
	f.Add([]byte(`{"level":"error","msg":"x"}`))
	f.Fuzz(func(_ *testing.T, log []byte) { lastError(log) })
}
