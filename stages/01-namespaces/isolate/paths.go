package isolate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/01-namespaces/namespace"
)

// openPaths opens the namespaces to join by path. The parent opens them, because
// a path may lead elsewhere once the child has another mount namespace.
func openPaths(r Request) []launch.Step {
	var steps []launch.Step
	for n, k := range namespace.Kinds() {
		path, ok := r.JoinPaths[k.File]
		if !ok {
			continue
		}
		slot := slotPaths + launch.Slot(n)
		steps = append(steps, launch.Step{
			Name:    fmt.Sprintf("open the %s namespace %s", k.Name, path),
			Because: "setns(2) takes a descriptor; a path could lead elsewhere from inside",
			Do:      func(run *launch.Run) error { return openNamespace(run, slot, path, k, !r.pidInside()) },
		})
	}
	return steps
}

// openNamespace puts the descriptor into the slot. A pid namespace is entered
// at once, by the thread that makes the child, where enter says so.
func openNamespace(run *launch.Run, slot launch.Slot, path string, k namespace.Kind, enter bool) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	run.Hold(slot, f)
	kind, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_NSTYPE)
	if err != nil || uintptr(kind) != k.Flag {
		return fmt.Errorf("%s is no %s namespace", path, k.Name)
	}
	if k.File != "pid" || !enter {
		return nil
	}
	run.Taint()
	return unix.Setns(int(f.Fd()), unix.CLONE_NEWPID)
}

// joinPaths enters them in the child, user first (namespace.Kinds is in that order).
func joinPaths(r Request) []launch.Step {
	var steps []launch.Step
	for n, k := range namespace.Kinds() {
		if _, ok := r.JoinPaths[k.File]; !ok || k.File == "pid" {
			continue
		}
		steps = append(steps, launch.Setns(slotPaths+launch.Slot(n), k.Flag, k.File))
		if k.File == "user" {
			steps = append(steps, launch.BecomeRoot())
		}
	}
	return steps
}

// keep binds new namespaces to files, so that they outlive their processes.
func keep(r Request) []launch.Step {
	var steps []launch.Step
	for _, k := range r.New {
		path := r.Keep[k.File]
		if path == "" {
			continue
		}
		steps = append(steps, launch.Step{
			Name:    fmt.Sprintf("keep the %s namespace at %s", k.Name, path),
			Because: "namespaces(7): a bind mount of /proc/PID/ns/* keeps a namespace without processes",
			Do:      func(run *launch.Run) error { return bind(run.PID(), k, path) },
			Undo:    func(*launch.Run) error { return unix.Unmount(path, unix.MNT_DETACH) },
		})
	}
	return steps
}

func bind(pid int, k namespace.Kind, path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o444)
	made := err == nil
	if errors.Is(err, fs.ErrExist) {
		f, err = os.Open(path)
	}
	if err != nil {
		return err
	}
	err = unix.Mount(fmt.Sprintf("/proc/%d/ns/%s", pid, k.File), path, "", unix.MS_BIND, "")
	if errors.Is(err, unix.EINVAL) && k.File == "mnt" {
		err = fmt.Errorf("%w: a mount namespace can be kept only on a private mount (mount --make-private)", err)
	}
	if err != nil && made {
		err = errors.Join(err, os.Remove(path))
	}
	return errors.Join(err, f.Close())
}
