package oci

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/05-shim/reap"
)

func TestCheckpointUsesTheRuntimesFlags(t *testing.T) {
	dir := t.TempDir()
	program, said := filepath.Join(dir, "runtime"), filepath.Join(dir, "said")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\necho \"$@\" >"+said+"\n"), 0o755))
	r := &Runtime{Program: program, Reaper: new(reap.Reaper)}
	for _, row := range []struct {
		o    CheckpointOptions
		want string
	}{
		{CheckpointOptions{ImagePath: "/i", WorkPath: "/w"}, "checkpoint --image-path /i --work-path /w c"},
		{
			CheckpointOptions{ImagePath: "/i", WorkPath: "/w", LeaveRunning: true, TCPEstablished: true, ExternalUnixSockets: true, ShellJob: true, FileLocks: true, EmptyNamespaces: []string{"network"}, CgroupsMode: "soft"},
			"checkpoint --image-path /i --work-path /w --leave-running --tcp-established --ext-unix-sk --shell-job --file-locks --empty-ns network --manage-cgroups-mode soft c",
		},
	} {
		require.NoError(t, r.Checkpoint("c", dir, row.o))
		text, err := os.ReadFile(said)
		require.NoError(t, err)
		_, verb, _ := strings.Cut(strings.TrimSpace(string(text)), "--log-format json ")
		require.Equal(t, row.want, verb)
	}
}
