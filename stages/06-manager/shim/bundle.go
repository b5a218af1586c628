package shim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
)

// tasksDir is containerd's name of the directory with all bundles, so that its
// tools find them.
const tasksDir = "io.containerd.runtime.v2.task"

// Bundle is the directory a task lives in: config.json, rootfs/, and what the
// shim writes there (address, exit.json). It is also the record that a restarted
// manager adopts from.
type Bundle struct {
	Dir       string
	Namespace string
	ID        string
}

// At names a bundle without touching the disk.
func At(state, ns, id string) Bundle {
	return Bundle{Dir: filepath.Join(state, tasksDir, ns, id), Namespace: ns, ID: id}
}

// Make creates the directory with its config.json. Only the owner may enter
// (CVE-2021-41103, CVE-2024-25621): a bundle holds set-uid programs.
func Make(state, ns, id string, config []byte, program string) (Bundle, error) {
	b := At(state, ns, id)
	if err := os.MkdirAll(filepath.Dir(b.Dir), 0o700); err != nil {
		return b, fmt.Errorf("bundle of %s: %w", id, err)
	}
	if err := os.Mkdir(b.Dir, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return b, fault.New(fault.AlreadyExists, "task %s: already exists", id)
		}
		return b, fmt.Errorf("bundle of %s: %w", id, err)
	}
	err := errors.Join(
		os.Mkdir(b.Path("rootfs"), 0o711), // a user namespace's root must be able to enter it
		os.Mkdir(b.Path("work"), 0o700),
		os.WriteFile(b.Path("config.json"), config, 0o600),
		os.WriteFile(b.Path("shim-binary-path"), []byte(program), 0o600),
		unix.Mkfifo(b.Path("log"), 0o600),
	)
	if err != nil {
		return b, errors.Join(fmt.Errorf("bundle of %s: %w", id, err), b.Remove())
	}
	return b, nil
}

// List finds every bundle below state.
func List(state string) ([]Bundle, error) {
	dirs, err := filepath.Glob(filepath.Join(state, tasksDir, "*", "*"))
	if err != nil {
		return nil, err
	}
	var found []Bundle
	for _, dir := range dirs {
		if fi, err := os.Stat(dir); err == nil && fi.IsDir() {
			found = append(found, Bundle{Dir: dir, Namespace: filepath.Base(filepath.Dir(dir)), ID: filepath.Base(dir)})
		}
	}
	return found, nil
}

// Path is a file in the bundle.
func (b Bundle) Path(name string) string { return filepath.Join(b.Dir, name) }

// Quiet is how long ago something was last made or removed in the bundle; 0 when
// nobody can tell.
func (b Bundle) Quiet() time.Duration {
	fi, err := os.Stat(b.Dir)
	if err != nil {
		return 0
	}
	return time.Since(fi.ModTime())
}

// Program is the shim's program, as it was when the bundle was made.
func (b Bundle) Program() (string, error) {
	raw, err := os.ReadFile(b.Path("shim-binary-path"))
	return string(raw), err
}

// Remove unmounts what is left on rootfs and removes the directory. It never
// walks into a mount: the container's files are not ours to delete.
func (b Bundle) Remove() error {
	rootfs := b.Path("rootfs")
	for range 64 { // mounts may be stacked
		err := unix.Unmount(rootfs, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			break // not a mount point
		}
		if err != nil {
			return fmt.Errorf("unmount %s: %w", rootfs, err)
		}
	}
	if err := os.Remove(rootfs); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("bundle of %s: %w", b.ID, err) // not empty: something was written there
	}
	return os.RemoveAll(b.Dir)
}

// Exit is the record that our shim writes before it publishes TaskExit (docs/boundaries.md).
type Exit struct {
	ID        string    `json:"id"`
	ExecID    string    `json:"exec_id,omitempty"`
	Pid       uint32    `json:"pid"`
	Status    uint32    `json:"status"`
	ExitedAt  time.Time `json:"exited_at"`
	OOMKilled bool      `json:"oom_killed"`
}

// Exits reads the records, by exec id; "" is the container's own. A foreign shim
// writes none.
func (b Bundle) Exits() map[string]Exit {
	exits := map[string]Exit{}
	files, _ := filepath.Glob(b.Path("exit*.json")) // the pattern is well-formed
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		var e Exit
		// A torn record cannot be: the shim renames it into place. One that does not
		// parse is somebody else's file.
		if json.Unmarshal(raw, &e) == nil && strings.HasPrefix(filepath.Base(name), "exit") {
			exits[e.ExecID] = e
		}
	}
	return exits
}
