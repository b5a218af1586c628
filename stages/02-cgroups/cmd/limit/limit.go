package main

import (
	"errors"
	"os"
	"strings"

	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"github.com/spf13/cobra"
)

// terminal is where a command reads and writes.
type terminal struct{ in, out, err *os.File }

// parent holds the groups that are named without a path.
const parent = "/slipway-limit"

func newLimit(t terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "limit",
		Short: "Give a program a budget",
		Long: "Give a program a budget of memory, CPU, processes and disk.\n\n" +
			"GROUP is a name below " + parent + ", or an absolute path as in /slipway/ID.",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.SetOut(t.out)
	cmd.SetErr(t.err)
	cmd.AddCommand(
		newRun(t), newBorn(), newCreate(), newSet(), newShow(t), newList(t), newTop(t),
		newFreeze(), newThaw(), newKill(), newRemove(),
	)
	return cmd
}

// find names a group on this machine. A plain name is below parent, which for an ordinary user is below the
// subtree that was given to that user.
func find(name string) (*cgroup.Group, error) {
	l, err := cgroup.Detect()
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(name, "/") {
		return l.Group(name)
	}
	name = parent + "/" + name // not path.Join: .. is for Group to refuse
	given, err := l.Delegated()
	switch {
	case errors.Is(err, os.ErrPermission): // what is asked for will be refused, by name
	case err != nil:
		return nil, err
	case given.Path() != "/":
		name = given.Path() + name
	}
	return l.Group(name)
}

// existing names a group that must be there.
func existing(name string) (*cgroup.Group, error) {
	g, err := find(name)
	if err != nil {
		return nil, err
	}
	if !g.Exists() {
		return nil, &os.PathError{Op: "find", Path: "cgroup " + g.Path(), Err: os.ErrNotExist}
	}
	return g, nil
}
