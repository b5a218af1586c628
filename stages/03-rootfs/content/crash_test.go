package content_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/slipway-engine/slipway/stages/01-namespaces/shield"
	"github.com/slipway-engine/slipway/stages/03-rootfs/content"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const crashDir = "SLIPWAY_CONTENT_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		fmt.Fprintln(os.Stderr, churn(dir))
		os.Exit(1)
	}
	shield.Main(m)
}

func churn(dir string) error {
	s, err := content.Open(dir)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		p := bytes.Repeat(fmt.Appendf(nil, "blob %d ", i), 20_000)
		w, err := s.Writer(fmt.Sprint("ref", i), int64(len(p)), digest.FromBytes(p))
		if err != nil {
			return err
		}
		for len(p) > 0 {
			n, err := w.Write(p[:min(len(p), 10_000)])
			if err != nil {
				return err
			}
			p = p[n:]
		}
		d, err := w.Commit(0, "")
		if err != nil {
			return err
		}
		fmt.Println(d)
	}
}

// Every blob that was acknowledged is there, every blob that is there is good, and an ingest that was cut off is resumed.
func TestKilledAtAnyMoment(t *testing.T) {
	for round := range 8 {
		dir := t.TempDir()
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), crashDir+"="+dir)
		var out bytes.Buffer
		cmd.Stdout = &out
		require.NoError(t, cmd.Start())
		time.Sleep(time.Duration(40+round*11) * time.Millisecond)
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())

		s, err := content.Open(dir)
		require.NoError(t, err)
		there := map[string]bool{}
		require.NoError(t, s.Walk(func(i content.Info) error {
			p, err := s.ReadAll(i.Digest, 1<<20)
			require.NoError(t, err)
			require.Equal(t, i.Digest, digest.FromBytes(p), "what is below blobs is good")
			there[i.Digest.String()] = true
			return nil
		}))
		for line := range strings.Lines(out.String()) {
			if strings.HasSuffix(line, "\n") {
				require.True(t, there[strings.TrimSpace(line)], "acknowledged: %s", line)
			}
		}
		ingests, err := s.Statuses()
		require.NoError(t, err)
		for _, st := range ingests {
			finish(t, s, st)
		}
	}
}

func finish(t *testing.T, s *content.Store, st content.Status) {
	t.Helper()
	var i int
	_, err := fmt.Sscanf(st.Ref, "ref%d", &i)
	require.NoError(t, err)
	p := bytes.Repeat(fmt.Appendf(nil, "blob %d ", i), 20_000)
	w, err := s.Writer(st.Ref, int64(len(p)), digest.FromBytes(p))
	if errors.Is(err, content.ErrExists) {
		require.NoError(t, s.Abort(st.Ref)) // killed between the rename and the clearing up
		return
	}
	require.NoError(t, err)
	_, err = w.Write(p[w.Status().Offset:])
	require.NoError(t, err)
	_, err = w.Commit(0, "")
	require.NoError(t, err)
}

func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: a tmpfs of its own")
	}
	dir := t.TempDir()
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"))
	defer func() { require.NoError(t, unix.Unmount(dir, 0)) }()
	s, err := content.Open(dir)
	require.NoError(t, err)
	w, err := s.Writer("big", 0, "")
	require.NoError(t, err)
	_, err = w.Write(make([]byte, 2<<20))
	require.ErrorIs(t, err, unix.ENOSPC)
	require.ErrorContains(t, err, "big")
	st := w.Status()
	require.Equal(t, digest.FromBytes(make([]byte, st.Offset)), w.Digest(), "the status says what is on disk")
	require.NoError(t, w.Close())
	require.NoError(t, s.Abort("big"))
	put(t, s, "there is room again")
}
