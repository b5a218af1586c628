package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/isolate"
	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/01-namespaces/namespace"
	"github.com/slipway-engine/slipway/stages/01-namespaces/timeline"
)

type isolateOptions struct {
	kinds     map[string]*kindFlag // by file name in /proc/PID/ns
	join      []string
	mapRoot   bool
	mapUsers  []string
	mapGroups []string
	clock     isolate.Clock
	mountProc bool
	hostname  string
	dir       string
	explain   bool
	trace     bool
	step      bool
	svg       bool

	init        bool
	mapAuto     bool
	keep        string
	propagation string
	root        string
	setgroups   string
}

func newIsolate() *cobra.Command {
	o := isolateOptions{kinds: map[string]*kindFlag{}}
	cmd := &cobra.Command{
		Use:   "isolate [flags] [-- COMMAND [ARG...]]",
		Short: "Run a program in new namespaces, or in another process's",
		Example: `  isolate --pid --mount --mount-proc --uts --hostname box -- sh
  isolate --user --map-root-user -- id
  isolate --join 1234 -- sh
  isolate --net=/run/blue -- true; isolate --join net=/run/blue -- ip link
  isolate --pid --mount --explain -- true`,
		Args: cobra.ArbitraryArgs, SilenceErrors: true, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runIsolate(cmd.Context(), cmd.OutOrStdout(), o, args)
		},
	}
	short := map[string]string{"mnt": "m", "uts": "u", "ipc": "i", "net": "n", "pid": "p", "user": "U", "cgroup": "C", "time": "T"}
	f := cmd.Flags()
	f.SortFlags = false
	f.SetInterspersed(false) // what follows the command belongs to it
	for _, k := range namespace.Kinds() {
		name := k.Name
		if k.File == "net" {
			name = "net"
		}
		o.kinds[k.File] = new(kindFlag)
		f.VarPF(o.kinds[k.File], name, short[k.File], "a new "+k.Name+" namespace, kept at `FILE` if one is given (with --join: only this kind)").NoOptDefVal = "yes"
	}
	f.StringArrayVar(&o.join, "join", nil, "join the namespaces of process `PID` (or of pidfd fd:N), or one by path, KIND=PATH")
	f.BoolVarP(&o.mapRoot, "map-root-user", "r", false, "be root in a new user namespace (implies --user)")
	f.StringSliceVar(&o.mapUsers, "map-users", nil, "map user ids: `INSIDE:OUTSIDE:COUNT`, repeatable (implies --user)")
	f.StringSliceVar(&o.mapGroups, "map-groups", nil, "map group ids: `INSIDE:OUTSIDE:COUNT`, repeatable")
	f.BoolVar(&o.mapAuto, "map-auto", false, "be root, and map the caller's whole range in /etc/subuid and /etc/subgid behind it (implies --user)")
	f.StringVar(&o.keep, "keep", "", "keep each new namespace at `DIR`/KIND when its processes have gone")
	f.StringVar(&o.setgroups, "setgroups", "", "`allow` or deny setgroups(2) in the new user namespace")
	f.StringVar(&o.propagation, "propagation", "", "of the mounts in a new mount namespace: `private` (as without), slave, shared, unchanged")
	f.StringVarP(&o.root, "root", "R", "", "make this `DIR` the root directory")
	f.BoolVar(&o.init, "init", false, "be process 1 of the new pid namespace: reap orphans and pass signals on")
	f.Int64Var(&o.clock.Monotonic, "monotonic", 0, "shift the monotonic clock of a new time namespace by `SECONDS`")
	f.Int64Var(&o.clock.Boottime, "boottime", 0, "shift its boot-time clock by `SECONDS`")
	f.BoolVar(&o.mountProc, "mount-proc", false, "mount /proc again, for the new pid namespace (implies --mount)")
	f.StringVar(&o.hostname, "hostname", "", "set the `NAME` of the new uts namespace")
	f.StringVar(&o.dir, "wd", "", "change to this `DIR` first")
	f.BoolVar(&o.explain, "explain", false, "print the steps and do nothing")
	f.BoolVar(&o.svg, "svg", false, "with --explain: draw them, as an SVG picture")
	f.BoolVar(&o.trace, "trace", false, "print what each step took, to standard error")
	f.BoolVar(&o.step, "step", false, "stop before each step until a key is pressed")
	cmd.AddCommand(newList(), newInit())
	cmd.CompletionOptions.HiddenDefaultCmd = true
	return cmd
}

func runIsolate(ctx context.Context, out io.Writer, o isolateOptions, args []string) error {
	req, err := o.request(args)
	if err != nil {
		return err
	}
	plan, err := isolate.Plan(req)
	if err != nil {
		return err
	}
	if o.explain && o.svg {
		return timeline.Draw(out, "isolate "+strings.Join(req.Argv, " "), plan.Steps)
	}
	if o.explain {
		return plan.Explain(out)
	}
	var watch launch.Options
	if o.step {
		s := newStepper()
		defer s.restore()
		watch.Before = s.before
	}
	if o.trace {
		watch.Trace = new(launch.Trace)
	}
	proc, err := launch.Start(ctx, plan, watch)
	if err != nil {
		return err
	}
	defer proc.Close()
	if watch.Trace != nil {
		if err := watch.Trace.Print(os.Stderr); err != nil {
			return err
		}
	}
	return wait(proc)
}

// wait passes on how the program ended. The terminal's signals go to the whole
// foreground group, so this process leaves them to the program.
func wait(proc *launch.Process) error {
	signal.Ignore(unix.SIGINT, unix.SIGQUIT)
	ws, err := proc.Wait()
	switch {
	case err != nil:
		return fmt.Errorf("wait for process %d: %w", proc.PID(), err)
	case ws.Signaled():
		return exitCode(128 + int(ws.Signal()))
	case ws.ExitStatus() != 0:
		return exitCode(ws.ExitStatus())
	}
	return nil
}
