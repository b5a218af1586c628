package oci

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/05-shim/reap"
)

func TestCheckpointAndRestoreUseTheRuntimesFlags(t *testing.T) {
	dir := t.TempDir()
	program, said := filepath.Join(dir, "runtime"), filepath.Join(dir, "said")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\necho \"$@\" >>"+said+"\n"), 0o755))
	r := &Runtime{Program: program, Reaper: new(reap.Reaper)}
	plain := CRIUOptions{ImagePath: "/i", WorkPath: "/w"}
	all := CRIUOptions{
		ImagePath: "/i", WorkPath: "/w", TCPEstablished: true, ExternalUnixSockets: true, ShellJob: true, FileLocks: true,
		EmptyNamespaces: []string{"network"}, CgroupsMode: "soft",
	}
	const allFlags = "--image-path /i --work-path /w --tcp-established --ext-unix-sk --shell-job --file-locks --empty-ns network --manage-cgroups-mode soft"
	restore := "restore --detach --no-subreaper --bundle " + dir + " --pid-file /p "
	require.NoError(t, r.Checkpoint("c", dir, CheckpointOptions{CRIUOptions: plain}))
	require.NoError(t, r.Checkpoint("c", dir, CheckpointOptions{CRIUOptions: all, LeaveRunning: true, ParentPath: "../p"}))
	require.NoError(t, r.Restore("c", dir, RestoreOptions{CRIUOptions: plain, PidFile: "/p"}))
	require.NoError(t, r.Restore("c", dir, RestoreOptions{CRIUOptions: all, PidFile: "/p", ConsoleSocket: "/s", NoPivot: true}))
	text, err := os.ReadFile(said)
	require.NoError(t, err)
	var verbs []string
	for line := range strings.Lines(string(text)) {
		_, verb, _ := strings.Cut(strings.TrimSpace(line), "--log-format json ")
		verbs = append(verbs, verb)
	}
	require.Equal(t, []string{
		"checkpoint --image-path /i --work-path /w c",
		"checkpoint " + allFlags + " --parent-path ../p --leave-running c",
		restore + "--image-path /i --work-path /w c",
		restore + allFlags + " --console-socket /s --no-pivot c",
	}, verbs)
}
