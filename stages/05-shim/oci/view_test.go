package oci

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestAViewCannotBeWritten(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	program := filepath.Join(t.TempDir(), "program")
	data, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(program, data, 0o755))
	cmd := exec.Command(program, "-test.run=^$")
	done := throughView(cmd)
	defer done()
	require.NotEqual(t, program, cmd.Path)
	_, err = os.OpenFile(cmd.Path, os.O_WRONLY, 0)
	require.ErrorIs(t, err, unix.EROFS)
	require.NoError(t, cmd.Run())
	require.Equal(t, program, cmd.Args[0])
}

func TestAScriptIsExecutedByItsName(t *testing.T) {
	script := filepath.Join(t.TempDir(), "wrapper")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\nexit 3\n"), 0o755))
	cmd := exec.Command(script)
	defer throughView(cmd)()
	require.Equal(t, script, cmd.Path)
	require.ErrorContains(t, cmd.Run(), "exit status 3")
}
