package plan

import (
	"context"
	"errors"
	"os"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
)

// mappedUsers makes a user namespace with these maps. It needs a process to be born in it; once its file is open, the process
// can go, and the namespace stays as long as somebody holds the file (namespaces(7)).
func mappedUsers(uids, gids []specs.LinuxIDMapping) (file *os.File, err error) {
	p := new(launch.Plan).Add(
		launch.Step{Name: "clone3 user", Clone: &launch.Clone{Flags: unix.CLONE_NEWUSER}},
		launch.Step{Name: "map user and group ids", Returns: true, Do: func(r *launch.Run) error {
			err := errors.Join(writeProc(r.PID(), "uid_map", mapText(uids)), writeProc(r.PID(), "gid_map", mapText(gids)))
			if err == nil {
				file, err = os.Open("/proc/" + strconv.Itoa(r.PID()) + "/ns/user")
			}
			return err
		}},
		child("wait", "nothing is to be run in it", launch.Call(unix.SYS_EXIT_GROUP, launch.Int(0))),
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
