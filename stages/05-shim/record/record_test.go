package record

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
)

func TestWriteThenRead(t *testing.T) {
	dir := t.TempDir()
	at := time.Date(2026, 11, 21, 23, 15, 0, 123456789, time.UTC)
	for _, want := range []Exit{
		{ID: "c1", Pid: 42, Status: 137, ExitedAt: at, OOMKilled: true},
		{ID: "c1", ExecID: "e1", Pid: 43, Status: 0, ExitedAt: at},
	} {
		err := want.Write(dir)
		teach.Begun(t, err)
		require.NoError(t, err)
		got, err := Read(dir, want.ExecID)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	data, err := os.ReadFile(filepath.Join(dir, "exit.json"))
	require.NoError(t, err)
	require.Equal(t, `{"id":"c1","pid":42,"status":137,"exited_at":"2026-11-21T23:15:00.123456789Z","oom_killed":true}`+"\n", string(data))
	_, err = Read(dir, "e2")
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestDurable is the exercise shim.exit-record.
func TestDurable(t *testing.T) {
	dir := t.TempDir()
	first := Exit{ID: "c1", Pid: 42, Status: 1}
	err := first.Write(dir)
	teach.Begun(t, err)
	require.NoError(t, err)
	path := filepath.Join(dir, "exit.json")
	if dirty, known := dirtyPages(t, path); known && dirty > 0 {
		failUnsynced(t, dirty)
	}
	reader, err := os.Open(path) // somebody is reading the old record
	require.NoError(t, err)
	defer reader.Close()
	before := inode(t, path)
	require.NoError(t, Exit{ID: "c1", Pid: 42, Status: 2}.Write(dir))
	if inode(t, path) == before {
		failInPlace(t, reader, before)
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "temporary files are left")
	require.Error(t, first.Write(filepath.Join(dir, "nowhere")))
}

func failInPlace(t *testing.T, reader *os.File, inode uint64) {
	buf := make([]byte, 200)
	n, _ := reader.Read(buf)
	teach.Fail(t, teach.Diagnosis{
		Exercise: "shim.exit-record", Title: "an exit record is there whole or not at all", Code: "SHIM-EXIT-1",
		Did:  "wrote exit.json with status 1, opened it as a manager would, then wrote it with status 2",
		Saw:  fmt.Sprintf("the same inode, %d, before and after; the open file now reads\n%s", inode, strings.TrimSpace(string(buf[:n]))),
		Want: "another inode under the same name; the open file still reads status 1",
		Means: "you wrote over the old record. Between the truncation and the last byte there is a moment with half a " +
			"record, and a power cut or a SIGKILL in it leaves that half for ever.",
		Try:  "strace -f -e trace=openat,write,fsync,rename go test -run TestDurable ./record",
		Read: "docs/05-shim.md#record, man 2 rename (the word \"atomically\")",
	})
}

func failUnsynced(t *testing.T, dirty uint64) {
	teach.Fail(t, teach.Diagnosis{
		Exercise: "shim.exit-record", Title: "an exit record is there whole or not at all", Code: "SHIM-EXIT-2",
		Did:  "wrote exit.json and asked the kernel with cachestat(2) what of it is on the disk",
		Saw:  fmt.Sprintf("%d page(s) dirty or on the way: the bytes are in memory only", dirty),
		Want: "0 dirty pages when Write returns",
		Means: "the record has its name but not its bytes: after a power cut the file may be there and empty. " +
			"The bytes must be on the disk before the name points to them, and the directory holds the name.",
		Try:  "strace -f -e trace=fsync,renameat go test -run TestDurable ./record; fsync must come first",
		Read: "docs/05-shim.md#record, man 2 fsync (NOTES on directories)",
	})
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	return info.Sys().(*syscall.Stat_t).Ino
}

// dirtyPages asks cachestat(2) (Linux 6.5), where the file system has a disk to write to.
func dirtyPages(t *testing.T, path string) (dirty uint64, known bool) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	var fs unix.Statfs_t
	require.NoError(t, unix.Fstatfs(int(f.Fd()), &fs))
	if fs.Type == unix.TMPFS_MAGIC {
		return 0, false
	}
	all := [2]uint64{0, 0} // from the start, to the end
	var stat struct{ Cache, Dirty, Writeback, Evicted, RecentlyEvicted uint64 }
	_, _, errno := unix.Syscall6(unix.SYS_CACHESTAT, f.Fd(), uintptr(unsafe.Pointer(&all)), uintptr(unsafe.Pointer(&stat)), 0, 0, 0)
	return stat.Dirty + stat.Writeback, errno == 0
}
