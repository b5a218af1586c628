package idmap

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"golang.org/x/sys/unix"
)

// Namespace makes a user namespace with this map, in the form in which mount_setattr(2) takes maps. It needs a process to be born in
// it; once its file is open the process can go, and the namespace stays as long as somebody holds the file (namespaces(7)).
func (m *Map) Namespace() (file *os.File, err error) {
	write := func(pid int, name string, ranges []Range) error {
		var text strings.Builder
		for _, r := range ranges {
			fmt.Fprintf(&text, "%d %d %d\n", r.Container, r.Host, r.Size)
		}
		return os.WriteFile(fmt.Sprintf("/proc/%d/%s", pid, name), []byte(text.String()), 0)
	}
	p := new(launch.Plan).Add(
		launch.Step{Name: "clone3 user", Clone: &launch.Clone{Flags: unix.CLONE_NEWUSER}},
		launch.Step{Name: "map user and group ids", Returns: true, Do: func(r *launch.Run) error {
			err := errors.Join(write(r.PID(), "uid_map", m.UIDs), write(r.PID(), "gid_map", m.GIDs))
			if err == nil {
				file, err = os.Open(fmt.Sprintf("/proc/%d/ns/user", r.PID()))
			}
			return err
		}},
		launch.Step{Name: "end", Side: launch.Child, Code: []launch.Instr{launch.Call(unix.SYS_EXIT_GROUP, launch.Int(0))}},
	)
	proc, err := launch.Start(context.Background(), p, launch.Options{})
	if err != nil {
		return nil, err
	}
	defer proc.Close()
	if _, err := proc.Wait(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
