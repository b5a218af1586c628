package plan

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/04-ocispec/rlimits"
)

// mapIDs writes the maps of the new user namespace. The kernel takes each map once and whole (user_namespaces(7)).
func (c *compiler) mapIDs() launch.Step {
	uids, gids := c.spec.Linux.UIDMappings, c.spec.Linux.GIDMappings
	return parent("map user and group ids", "user_namespaces(7): an id without a map is nobody; only the parent may map more than itself", func(r *launch.Run) error {
		if c.facts.Rootless { // an ordinary user must give up setgroups before gid_map is accepted
			if err := writeProc(r.PID(), "setgroups", "deny"); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
		return errors.Join(writeProc(r.PID(), "uid_map", mapText(uids)), writeProc(r.PID(), "gid_map", mapText(gids)))
	})
}

func mapText(list []specs.LinuxIDMapping) string {
	var b strings.Builder
	for _, m := range list {
		fmt.Fprintf(&b, "%d %d %d\n", m.ContainerID, m.HostID, m.Size)
	}
	return b.String()
}

// writeProc writes a file of the child's in one write, as the kernel wants it.
func writeProc(pid int, name, text string) error {
	f, err := os.OpenFile("/proc/"+strconv.Itoa(pid)+"/"+name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func (c *compiler) oomScore() []launch.Step {
	score := c.proc.OOMScoreAdj
	if score == nil {
		return nil
	}
	return []launch.Step{parent(fmt.Sprintf("set oom_score_adj to %d", *score), "proc_pid_oom_score_adj(5); config.json process.oomScoreAdj", func(r *launch.Run) error {
		return setOOMScore(r.PID(), *score)
	})}
}

// setOOMScore writes only a change: lowering it needs CAP_SYS_RESOURCE, keeping it needs nothing.
func setOOMScore(pid, score int) error {
	old, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/oom_score_adj")
	if err == nil && strings.TrimSpace(string(old)) == strconv.Itoa(score) {
		return nil
	}
	return writeProc(pid, "oom_score_adj", strconv.Itoa(score))
}

// limits sets the resource limits from outside: inside a user namespace nobody may raise one. The number of open files is put
// back to what we were given, because the Go runtime has raised it.
func (c *compiler) limits() []launch.Step {
	list, err := rlimits.Parse(c.proc.Rlimits)
	if err != nil { // Validate has seen it
		return []launch.Step{parent("set resource limits", "", func(*launch.Run) error { return err })}
	}
	noFile := false
	var steps []launch.Step
	for _, l := range list {
		noFile = noFile || l.Resource == unix.RLIMIT_NOFILE
		steps = append(steps, parent(fmt.Sprintf("limit %s to %s (hard %s)", l.Name, amount(l.Soft), amount(l.Hard)), "getrlimit(2); config.json process.rlimits", func(r *launch.Run) error {
			return unix.Prlimit(r.PID(), l.Resource, &unix.Rlimit{Cur: l.Soft, Max: l.Hard}, nil)
		}))
	}
	if !noFile && c.facts.NoFile[1] != 0 {
		steps = append(steps, launch.NofileLimit(c.facts.NoFile[0], c.facts.NoFile[1]))
	}
	return steps
}

func amount(n uint64) string {
	if n == unix.RLIM_INFINITY {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}
