package plan

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
)

// mapIDs writes the maps of the new user namespace. The kernel takes each map once and whole (user_namespaces(7)).
func (c *compiler) mapIDs() launch.Step {
	uids, gids := c.spec.Linux.UIDMappings, c.spec.Linux.GIDMappings
	return parent("map user and group ids", "user_namespaces(7): an id without a map is nobody; only the parent may map more than itself", func(r *launch.Run) error {
		if !c.facts.Rootless {
			return errors.Join(writeProc(r.PID(), "uid_map", mapText(uids)), writeProc(r.PID(), "gid_map", mapText(gids)))
		}
		if onlySelf(gids) { // an ordinary user must give up setgroups before gid_map is accepted
			if err := writeProc(r.PID(), "setgroups", "deny"); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
		return errors.Join(mapAsUser(r.PID(), "uid_map", "newuidmap", uids, os.Geteuid()), mapAsUser(r.PID(), "gid_map", "newgidmap", gids, os.Getegid()))
	})
}

// mapAsUser writes the one map that anybody may write, oneself. Anything else is for the setuid programs, which look into
// /etc/subuid and /etc/subgid (newuidmap(1)).
func mapAsUser(pid int, file, program string, list []specs.LinuxIDMapping, self int) error {
	if onlySelf(list) && int(list[0].HostID) == self {
		return writeProc(pid, file, mapText(list))
	}
	args := append([]string{strconv.Itoa(pid)}, strings.Fields(mapText(list))...)
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// onlySelf: a map of a single id is the caller's own, or the kernel refuses it.
func onlySelf(list []specs.LinuxIDMapping) bool { return len(list) == 1 && list[0].Size == 1 }

// noGroups tells whether the child cannot set supplementary groups: an ordinary user had to give that up for a map of one group, for
// the container or for the namespace whose root it is now.
func (c *compiler) noGroups() bool {
	return c.facts.NoGroups || c.facts.Rootless && onlySelf(c.spec.Linux.GIDMappings)
}

// checkGroups refuses groups that the process would not get.
func (c *compiler) checkGroups() error {
	if len(c.proc.User.AdditionalGids) > 0 && c.noGroups() {
		return errors.New("process.user.additionalGids: cannot set any additional groups in a rootless container whose only group is the caller's")
	}
	return nil
}

func mapText(list []specs.LinuxIDMapping) string {
	var b strings.Builder
	for _, m := range list {
		fmt.Fprintf(&b, "%d %d %d\n", m.ContainerID, m.HostID, m.Size)
	}
	return b.String()
}
