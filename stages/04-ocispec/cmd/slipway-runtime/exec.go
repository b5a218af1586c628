package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
	"github.com/slipway-engine/slipway/stages/04-ocispec/spec"
	"github.com/slipway-engine/slipway/stages/04-ocispec/user"
)

type execOptions struct {
	process, console, pidFile, pidfdSocket, cwd, user, apparmor, label string
	env, caps, cgroup                                                  []string
	gids                                                               []int64
	detach, tty, noNewPrivs, ignorePaused                              bool
	preserve                                                           int
	argv                                                               []string
	watchOptions
}

func newExec(g *global) *cobra.Command {
	o := new(execOptions)
	cmd := &cobra.Command{
		Use: "exec [flags] CONTAINER COMMAND [ARG...]", Short: "execute new process inside the container",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := count(cmd, args, 1, -1); err != nil {
				return err
			}
			o.argv = args[1:]
			if len(o.argv) == 0 && o.process == "" {
				return noStatus(errors.New("process args cannot be empty"))
			}
			return noStatus(runExec(cmd.Context(), g, o, args[0]))
		},
	}
	f := cmd.Flags()
	f.SetInterspersed(false)
	f.StringVarP(&o.process, "process", "p", "", "path to the process.json")
	f.StringVar(&o.console, "console-socket", "", "path to an AF_UNIX socket which will receive a file descriptor referencing the master end of the console's pseudoterminal")
	f.StringVar(&o.pidFile, "pid-file", "", "specify the file to write the process id to")
	f.StringVar(&o.pidfdSocket, "pidfd-socket", "", "path to an AF_UNIX socket which will receive a file descriptor referencing the process")
	f.StringVar(&o.cwd, "cwd", "", "current working directory in the container")
	f.StringArrayVarP(&o.env, "env", "e", nil, "set environment variables")
	f.BoolVarP(&o.tty, "tty", "t", false, "allocate a pseudo-TTY")
	f.StringVarP(&o.user, "user", "u", "", "UID (format: <uid>[:<gid>])")
	f.Int64SliceVarP(&o.gids, "additional-gids", "g", nil, "additional gids")
	f.BoolVarP(&o.detach, "detach", "d", false, "detach from the container's process")
	f.StringVar(&o.label, "process-label", "", "set the asm process label for the process commonly used with selinux")
	f.StringVar(&o.apparmor, "apparmor", "", "set the apparmor profile for the process")
	f.BoolVar(&o.noNewPrivs, "no-new-privs", false, "set the no new privileges value for the process")
	f.StringArrayVarP(&o.caps, "cap", "c", nil, "add a capability to the bounding set for the process")
	f.IntVar(&o.preserve, "preserve-fds", 0, "pass N additional file descriptors to the container (stdio + $LISTEN_FDS + N in total)")
	f.BoolVar(&o.ignorePaused, "ignore-paused", false, "allow exec in a paused container")
	o.watchOptions.flags(f)
	f.StringArrayVar(&o.cgroup, "cgroup", nil, "run the process in an (existing) sub-cgroup(s). Format is [<controller>:]<cgroup>")
	return cmd
}

// noStatus marks an error of our own with 255, because every smaller status can be the process's, and with the words that
// engines pass on to their users.
func noStatus(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[exitCode](err); ok {
		return err
	}
	return &failure{fmt.Errorf("exec failed: %w", err), 255}
}

func runExec(ctx context.Context, g *global, o *execOptions, id string) error {
	rt, err := g.runtime()
	if err != nil {
		return err
	}
	opts := runtime.ExecOptions{
		ID: id, PIDFile: o.pidFile, PIDFDSocket: o.pidfdSocket, PreserveFDs: o.preserve, IgnorePaused: o.ignorePaused, Cgroup: o.cgroup,
		Watch: o.launch(g),
	}
	var fore *runtime.Foreground
	opts.Process = o.makeProcess
	switch {
	case o.console != "":
		opts.Terminal = runtime.ConsoleSocket(o.console)
	case !o.detach:
		opts.IfTerminal = true
		if fore, err = runtime.NewForeground(); err != nil {
			return err
		}
		opts.Terminal, opts.Attach = fore.Socket, fore.Attach
	}
	proc, err := rt.Exec(ctx, opts)
	if err != nil {
		return err
	}
	defer proc.Close()
	printTrace(opts.Watch.Trace)
	if o.detach {
		return nil
	}
	return attend(proc, fore)
}

// makeProcess is process.json, or the container's own process with the flags' changes.
func (o *execOptions) makeProcess(container *specs.Process) (*specs.Process, error) {
	if o.process != "" {
		data, err := os.ReadFile(o.process)
		if err != nil {
			return nil, err
		}
		p, err := spec.DecodeProcess(data)
		if err == nil && o.tty {
			p.Terminal = true
		}
		return p, err
	}
	p := *container
	p.Args, p.Terminal, p.ConsoleSize = o.argv, o.tty, nil
	p.Env = append(p.Env[:len(p.Env):len(p.Env)], o.env...)
	if o.cwd != "" {
		p.Cwd = o.cwd
	}
	if o.apparmor != "" {
		p.ApparmorProfile = o.apparmor
	}
	p.SelinuxLabel = o.label
	p.NoNewPrivileges = p.NoNewPrivileges || o.noNewPrivs
	o.addCapabilities(&p)
	return &p, o.setUser(&p)
}

func (o *execOptions) addCapabilities(p *specs.Process) {
	if len(o.caps) == 0 {
		return
	}
	c := specs.LinuxCapabilities{}
	if p.Capabilities != nil {
		c = *p.Capabilities
	}
	for _, set := range []*[]string{&c.Bounding, &c.Effective, &c.Permitted} {
		*set = append((*set)[:len(*set):len(*set)], o.caps...)
	}
	if len(c.Inheritable) > 0 { // then what is added is ambient too, or a user other than root would not have it
		for _, set := range []*[]string{&c.Inheritable, &c.Ambient} {
			*set = append((*set)[:len(*set):len(*set)], o.caps...)
		}
	}
	p.Capabilities = &c
}

func (o *execOptions) setUser(p *specs.Process) error {
	if o.user != "" {
		uid, gid, err := user.Parse(o.user)
		if err != nil {
			return err
		}
		p.User.UID = uid
		if gid != nil {
			p.User.GID = *gid
		}
	}
	for _, g := range o.gids {
		if g < 0 || g > 1<<31-1 {
			return fmt.Errorf("additional gid %d is not between 0 and %d", g, 1<<31-1)
		}
		p.User.AdditionalGids = append(p.User.AdditionalGids[:len(p.User.AdditionalGids):len(p.User.AdditionalGids)], uint32(g))
	}
	return nil
}
