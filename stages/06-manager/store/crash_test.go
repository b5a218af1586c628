package store

import (
	"bufio"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/06-manager/meta"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

const crashDir = "SLIPWAY_TEST_CRASH_DIR"

// TestCrash kills a process that creates things, again and again, and looks
// whether everything that it was told is done is there.
func TestCrash(t *testing.T) {
	if dir := os.Getenv(crashDir); dir != "" {
		createForEver(t, dir)
	}
	dir := t.TempDir()
	acked := map[string]bool{}
	for round := range 6 {
		for _, line := range crashOnce(t, dir, round) {
			acked[line] = true
		}
		s := newStore(t, dir)
		_, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		require.Empty(t, s.Check(t.Context()))
		for what := range acked {
			require.True(t, there(s, what), "acknowledged and gone: %s", what)
		}
		require.NoError(t, s.Snapshotters[DefaultSnapshotter].Close())
		require.NoError(t, s.DB.Close())
	}
	require.Greater(t, len(acked), 20, "the child never got far")
	t.Logf("%d acknowledged things survived 6 kills", len(acked))
}

// crashOnce runs the child for a moment, kills it, and returns what it said is done.
func crashOnce(t *testing.T, dir string, round int) (done []string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrash$")
	cmd.Env = append(os.Environ(), crashDir+"="+dir, fmt.Sprintf("ROUND=%d", round))
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan(), "the child says that it has begun")
	time.AfterFunc(time.Duration(100+rand.IntN(200))*time.Millisecond, func() { _ = cmd.Process.Kill() })
	for lines.Scan() {
		if what, ok := strings.CutPrefix(lines.Text(), "done "); ok {
			done = append(done, strings.TrimSuffix(what, "."))
		}
	}
	_ = cmd.Wait() // killed
	return done
}

// createForEver is the child. A line is written after the act returned; the
// final dot tells a whole line from a torn one.
func createForEver(t *testing.T, dir string) {
	s := newStore(t, dir)
	fmt.Println("begun")
	sn, err := s.In("ns", "").Snapshots(DefaultSnapshotter)
	require.NoError(t, err)
	for i := 0; ; i++ {
		id := fmt.Sprintf("r%s-%d", os.Getenv("ROUND"), i)
		d := put(t, s.In("ns", ""), id)
		fmt.Printf("done blob %s.\n", d)
		require.NoError(t, s.In("ns", "").PutImage(&imagesapi.Image{Name: id, Target: &types.Descriptor{Digest: d.String()}}))
		fmt.Printf("done image %s.\n", id)
		_, err := sn.Prepare(t.Context(), id, "", nil)
		require.NoError(t, err)
		fmt.Printf("done snapshot %s.\n", id)
		require.NoError(t, s.DB.Update("ns", func(tx *meta.Tx) error {
			return tx.Containers().Create(id, &containersapi.Container{ID: id})
		}))
		fmt.Printf("done container %s.\n", id)
		require.NoError(t, s.DB.Update("ns", func(tx *meta.Tx) error {
			return tx.Leases().Create(id, meta.Lease{ID: id})
		}))
		fmt.Printf("done lease %s.\n", id)
	}
}

func there(s *Store, what string) bool {
	kind, id, _ := strings.Cut(what, " ")
	found := false
	err := s.DB.View("ns", func(tx *meta.Tx) error {
		switch kind {
		case "blob":
			_, err := s.Blobs.Info(digest.Digest(id))
			found = tx.Content().Has(id) && err == nil
		case "image":
			found = tx.Images().Has(id)
		case "snapshot":
			found = tx.Snapshots(DefaultSnapshotter).Has(id)
		case "container":
			found = tx.Containers().Has(id)
		case "lease":
			found = tx.Leases().Has(id)
		}
		return nil
	})
	return found && err == nil
}
