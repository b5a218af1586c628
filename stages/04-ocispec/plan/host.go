package plan

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/04-ocispec/rlimits"
)

// writeProc writes a file of the child's in one write, as the kernel wants it.
func writeProc(pid int, name, text string) error {
	f, err := os.OpenFile("/proc/"+strconv.Itoa(pid)+"/"+name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// oomScore is a step only where something changes: the child would have to wait for us.
func (c *compiler) oomScore() []launch.Step {
	score, born := c.proc.OOMScoreAdj, c.facts.OOMScore
	if score == nil || born != nil && *born == *score {
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
