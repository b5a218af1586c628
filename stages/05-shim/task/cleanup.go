package task

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	api "github.com/containerd/containerd/api/runtime/task/v2"

	"github.com/slipway-engine/slipway/stages/05-shim/record"
	"github.com/slipway-engine/slipway/stages/05-shim/rootfs"
)

const pidFileName = "init.pid"

// killedStatus is 128 + SIGKILL: what a container ends with that is cleaned up without a record.
const killedStatus = 137

// Cleanup takes away a container whose shim is gone (`slipway-shim delete`), and tells how it
// ended: by the record if the shim could write one, else killed just now.
func Cleanup(c Config, id, bundle string) (*api.DeleteResponse, error) {
	if err := checkID("container", id); err != nil {
		return nil, err
	}
	launch, err := readLaunch(bundle)
	if errors.Is(err, fs.ErrNotExist) { // it died before Create
		launch, err = &Launch{}, nil
		launch.fill(c)
	}
	if err != nil {
		return nil, err
	}
	err = launch.runtime(c).Delete(id, bundle, true)
	if isGone(err) {
		err = nil
	}
	if err = errors.Join(err, rootfs.Unmount(filepath.Join(bundle, "rootfs"))); err != nil {
		return nil, err
	}
	exit, err := record.Read(bundle, "")
	if err != nil {
		exit = record.Exit{Pid: readPid(bundle), Status: killedStatus, ExitedAt: time.Now()}
	}
	return &api.DeleteResponse{Pid: uint32(exit.Pid), ExitStatus: uint32(exit.Status), ExitedAt: stamp(exit.ExitedAt)}, nil
}

// readPid is the pid that init had; 0 when it never had one.
func readPid(bundle string) int {
	data, err := os.ReadFile(filepath.Join(bundle, pidFileName))
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(data)))
	return pid
}
