package runtime_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
	"github.com/slipway-engine/slipway/stages/04-ocispec/state"
)

// A machine that has run out of something is where half-made containers come from.

func TestAFullDiskUnderTheState(t *testing.T) {
	p := newPlace(t)
	bundle := p.bundle(t, "true", nil)
	require.NoError(t, unix.Mount("tmpfs", p.dir, "tmpfs", 0, "size=64k"))
	defer func() { require.NoError(t, unix.Unmount(p.dir, unix.MNT_DETACH)) }()
	before := p.traces(t, bundle)
	filler := filepath.Join(p.dir, "filler.")
	failed := 0
	for room := 0; room < 64; room += 4 { // from none at all to enough
		require.NoError(t, fill(filler, room<<10))
		proc, err := p.Create(t.Context(), runtime.CreateOptions{ID: "s", Bundle: bundle})
		if err == nil {
			require.NoError(t, errors.Join(p.Delete(t.Context(), "s", true), proc.Close()))
		} else {
			require.ErrorIs(t, err, unix.ENOSPC)
			failed++
		}
		require.NoError(t, os.Remove(filler))
		before.none(t, "a full disk")
	}
	require.Positive(t, failed)
}

// TestTooLittleMemoryIsSaid: the kernel kills the child with no more than a signal.
func TestTooLittleMemoryIsSaid(t *testing.T) {
	p := newPlace(t)
	bundle := p.bundle(t, "true", func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: new(int64(64 << 10))}}
	})
	before := p.traces(t, bundle)
	_, err := p.Create(t.Context(), runtime.CreateOptions{ID: "m", Bundle: bundle})
	if err == nil {
		require.NoError(t, p.Delete(t.Context(), "m", true))
		t.Skip("needs a kernel that counts what a new process takes")
	}
	require.ErrorContains(t, err, "container init was OOM-killed (memory limit too low?): unable to start container process: ")
	before.none(t, "a create that starved")
}

// fill leaves so many bytes free.
func fill(name string, room int) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	st, statErr := f.Stat()
	if statErr != nil {
		return statErr
	}
	return errors.Join(f.Truncate(max(st.Size()-int64(room), 0)), f.Close())
}

func TestNoDescriptorsLeft(t *testing.T) {
	p := newPlace(t)
	bundle := p.bundle(t, "true", func(s *specs.Spec) { ownUsers(s); mount(s, "/tmp", "tmpfs", "tmpfs", "tmpcopyup") })
	before := p.traces(t, bundle)
	var old unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
	defer func() { require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &old)) }()
	failed := 0
	for spare := uint64(0); spare < 60; spare += 2 {
		limit := unix.Rlimit{Cur: highest(t) + 1 + spare, Max: old.Max}
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
		proc, err := p.Create(t.Context(), runtime.CreateOptions{ID: "n", Bundle: bundle})
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &old))
		if err == nil {
			require.NoError(t, errors.Join(p.Delete(t.Context(), "n", true), proc.Close()))
		} else {
			failed++
		}
		before.none(t, "a create without descriptors")
	}
	require.Positive(t, failed)
}

// highest is the highest descriptor in use.
func highest(t *testing.T) uint64 {
	t.Helper()
	f, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer f.Close()
	return uint64(f.Fd())
}

// TestAnyByteOfTheRecord: whatever happened to a container's record, list shows the others, and delete --force removes it.
func TestAnyByteOfTheRecord(t *testing.T) {
	p := newPlace(t)
	proc, err := p.Create(t.Context(), runtime.CreateOptions{ID: "whole", Bundle: p.bundle(t, "sleep 1000", nil)})
	require.NoError(t, err)
	defer func() { require.NoError(t, errors.Join(p.Delete(t.Context(), "whole", true), proc.Close())) }()
	text, err := os.ReadFile(filepath.Join(p.dir, "whole/state.json"))
	require.NoError(t, err)
	for at := range len(text) {
		dir := filepath.Join(p.dir, "torn")
		require.NoError(t, os.Mkdir(dir, 0o700))
		torn := append([]byte(nil), text...)
		torn[at] ^= 0x11
		require.NoError(t, os.WriteFile(filepath.Join(dir, "state.json"), torn, 0o600))
		views, _ := p.List() // it may complain of the torn one
		found := false
		for _, v := range views {
			found = found || v.ID == "whole" && v.PID == proc.PID()
		}
		require.True(t, found, "byte %d hides another container", at)
		require.NoError(t, os.RemoveAll(dir))
	}
	require.NoError(t, os.Mkdir(filepath.Join(p.dir, "torn"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "torn/state.json"), text[:len(text)/2], 0o600))
	require.NoError(t, p.Delete(t.Context(), "torn", true))
	_, err = p.State("torn")
	require.ErrorIs(t, err, state.ErrNotExist)
}
