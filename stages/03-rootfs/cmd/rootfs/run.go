package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/03-rootfs/bundle"
	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"
	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

type runOptions struct {
	*globals
	env      []string
	user     string
	ids      string
	workdir  string
	hostname string
	readonly bool
	explain  bool
	platform string
}

func newRun(g *globals) *cobra.Command {
	o := runOptions{globals: g}
	cmd := &cobra.Command{
		Use:   "run [flags] IMAGE [COMMAND [ARG...]]",
		Short: "Run a command in a fresh copy of an image",
		Long: `Run a command in a fresh copy of an image, which is pulled when it is not there. What the command writes is gone afterwards.

The command has mounts, processes, IPC and a host name of its own, the capabilities that Docker gives but for CAP_MKNOD, and no_new_privs; the
kernel's settings below /proc and /sys are masked or read-only. What it is not: there is no limit on what it uses (no cgroup), no filter of
system calls, no rules for devices, a user namespace only with --idmap, and it has this machine's network. For a program that you do not trust use
slipway-runtime or slipway.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRun(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), o, args[0], args[1:])
		},
	}
	f := cmd.Flags()
	f.SetInterspersed(false) // what follows the image belongs to the command
	f.StringArrayVarP(&o.env, "env", "e", nil, "set `NAME=VALUE`")
	f.StringVarP(&o.user, "user", "u", "", "`USER[:GROUP]` of the image, names or numbers, instead of its own")
	f.StringVar(&o.ids, "idmap", "", "run in a user namespace with this map, `CONTAINER:HOST:SIZE[,...]` (0:100000:65536)")
	f.StringVarP(&o.workdir, "workdir", "w", "", "start in this `DIR` of the image")
	f.StringVar(&o.hostname, "hostname", "rootfs", "host `NAME` inside")
	f.BoolVar(&o.readonly, "read-only", false, "nothing can be written")
	f.StringVar(&o.platform, "platform", "", "`OS/ARCH[/VARIANT]` instead of this machine's")
	f.BoolVar(&o.explain, "explain", false, "print the steps and do nothing")
	return cmd
}

func runRun(ctx context.Context, out, progress io.Writer, o runOptions, ref string, args []string) (err error) {
	run, err := beginRun(o.root)
	if err != nil {
		return err
	}
	defer func() { err = also(err, run.end(context.WithoutCancel(ctx), o.globals)) }()
	program, err := prepare(ctx, progress, o, run, ref, args)
	if err != nil {
		return err
	}
	plan, err := program.plan()
	if err != nil {
		return err
	}
	if o.explain {
		return plan.Explain(out)
	}
	return start(ctx, plan)
}

// prepare makes the root file system and lets go of the state, so that a long run stops no other rootfs.
func prepare(ctx context.Context, progress io.Writer, o runOptions, run *run, ref string, args []string) (p program, err error) {
	options, err := o.pullOptions(progress)
	if err != nil {
		return p, err
	}
	if options.Platform, err = parsePlatform(o.platform); err != nil {
		return p, err
	}
	options.Progress = quietly(options.Progress)
	err = o.with(ctx, func(s *state) error {
		img, err := s.ensure(ctx, ref, options)
		if err != nil {
			return err
		}
		raw, err := s.store.ReadAll(img.Config.Digest, 8<<20)
		if err != nil {
			return err
		}
		var config ocispec.Image
		if err := json.Unmarshal(raw, &config); err != nil {
			return fmt.Errorf("config of %s: %w", img.Name, err)
		}
		chain, err := pull.Unpack(ctx, img, s.store, s.snapshots, options)
		if err != nil {
			return err
		}
		user, err := s.userOf(ctx, cmp.Or(o.user, config.Config.User), chain)
		if err != nil {
			return err
		}
		if p, err = programOf(config.Config, args, user, o); err != nil {
			return err
		}
		if p.root, p.ids = run.root(), o.ids; p.ids == "" {
			p.mounts, err = s.snapshots.Prepare(ctx, run.key, chain, nil)
			return err
		}
		if p.root, err = run.reachable(); err != nil {
			return err
		}
		p.mounts, err = s.snapshots.Prepare(ctx, run.key, chain, map[string]string{snapshot.LabelUIDMap: p.ids, snapshot.LabelGIDMap: p.ids})
		return err
	})
	return p, err
}

// userOf finds a user with the image's own files.
func (s *state) userOf(ctx context.Context, text, chain string) (user specs.User, err error) {
	if text == "" {
		return user, nil
	}
	err = s.look(ctx, func(t *forest) error {
		dir, err := t.tree(ctx, chain)
		if err == nil {
			user, err = bundle.User(text, dir)
		}
		return err
	})
	return user, err
}

// quietly leaves out what is there already.
func quietly(show func(pull.Event)) func(pull.Event) {
	if show == nil {
		return nil
	}
	return func(e pull.Event) {
		if e.Phase != pull.AlreadyExists {
			show(e)
		}
	}
}

// start runs the plan and passes on how the program ended. The terminal's signals go to the whole foreground group, so this process
// leaves them to the program.
func start(ctx context.Context, plan *launch.Plan) error {
	proc, err := launch.Start(ctx, plan, launch.Options{})
	if err != nil {
		return notStarted(err)
	}
	defer proc.Close()
	signal.Ignore(unix.SIGINT, unix.SIGQUIT)
	stop := context.AfterFunc(ctx, func() { _ = proc.Signal(unix.SIGKILL) }) // SIGTERM to us; process 1 of a namespace ignores what it does not handle
	defer stop()
	status, err := proc.Wait()
	switch {
	case err != nil:
		return fmt.Errorf("wait for process %d: %w", proc.PID(), err)
	case status.Signaled():
		return exitCode(128 + int(status.Signal()))
	case status.ExitStatus() != 0:
		return exitCode(status.ExitStatus())
	}
	return nil
}

// notStarted gives the code of a shell for a program that is not there or may not be executed.
func notStarted(err error) error {
	step, ok := errors.AsType[*launch.StepError](err)
	if !ok || !strings.HasPrefix(step.Step, "execve ") {
		return err
	}
	code := exitCode(126)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		code = 127
	}
	return &codedError{err, code}
}
