package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestRealRestore needs criu(8), and a kernel that it understands: what counted goes on counting, into the log of its new life.
func TestRealRestore(t *testing.T) {
	program, err := exec.LookPath("criu")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // without a loopback interface it waits for minutes
	defer cancel()
	check := exec.CommandContext(ctx, program, "check")
	check.Dir = t.TempDir() // for its log
	if err != nil || check.Run() != nil {
		t.Skip("needs a criu that works on this kernel")
	}
	for _, terminal := range []bool{false, true} {
		t.Run(fmt.Sprint("terminal ", terminal), func(t *testing.T) {
			h := newRuncHost(t, terminal, "i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done")
			first, second := filepath.Join(h.dir, "first"), filepath.Join(h.dir, "second")
			h.run(stdioURIs{out: "file://" + first, terminal: terminal})
			require.Eventually(t, func() bool { return len(numbers(t, first)) >= 3 }, time.Minute, 10*time.Millisecond)
			images := filepath.Join(h.dir, "images")
			require.NoError(t, h.checkpoint(images))
			require.Equal(t, 137, h.wait(""))
			_, err := h.delete("")
			require.NoError(t, err)
			counted := numbers(t, first)

			pid, err := h.createFrom(images, stdioURIs{out: "file://" + second, terminal: terminal})
			require.NoError(t, err)
			require.Zero(t, pid)
			require.NoError(t, h.startInit())
			require.Eventually(t, func() bool { return len(numbers(t, second)) >= 3 }, time.Minute, 10*time.Millisecond)
			require.Greater(t, numbers(t, second)[0], counted[len(counted)-1]-1, "it goes on, it does not begin")
			require.NoError(t, h.exec("e1", stdioURIs{}, "true"))
			require.Zero(t, h.wait("e1"))
			usage, _ := h.memory()
			require.Positive(t, usage)
			require.NoError(t, h.kill(unix.SIGKILL))
			require.Equal(t, 137, h.wait(""))
			_, err = h.delete("")
			require.NoError(t, err)
		})
	}
}

// numbers are the lines of a file so far.
func numbers(t *testing.T, path string) (all []int) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	for line := range strings.FieldsSeq(string(text)) {
		n, err := strconv.Atoi(line)
		require.NoError(t, err)
		all = append(all, n)
	}
	return all
}
