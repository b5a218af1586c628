package main

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
)

type restoreOptions struct {
	criuFlags
	runtime.RestoreOptions
	bundle, console              string
	detach, noSubreaper, noPivot bool
}

func newRestore(g *global) *cobra.Command {
	o := new(restoreOptions)
	cmd := &cobra.Command{
		Use: "restore [flags] CONTAINER", Short: "restore a container from a previous checkpoint, with criu(8)",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := errors.Join(one(cmd, args), o.read()); err != nil {
				return err
			}
			g.warnRootless("restore")
			return runRestore(cmd.Context(), g, o, args[0])
		},
	}
	f := cmd.Flags()
	o.criuFlags.flags(f)
	f.StringVarP(&o.bundle, "bundle", "b", "", "path to the root of the bundle directory, defaults to the current directory")
	f.StringVar(&o.console, "console-socket", "", "path to an AF_UNIX socket which will receive a file descriptor referencing the master end of the console's pseudoterminal")
	f.BoolVarP(&o.detach, "detach", "d", false, "detach from the container's process")
	f.StringVar(&o.PIDFile, "pid-file", "", "specify the file to write the process id to")
	f.BoolVar(&o.noSubreaper, "no-subreaper", false, "disable the use of the subreaper used to reap reparented processes")
	f.BoolVar(&o.noPivot, "no-pivot", false, "accepted for callers of runc; criu decides how it enters the root file system")
	f.StringVar(&o.LSMProfile, "lsm-profile", "", "specify an LSM profile to be used during restore in the form of TYPE:NAME")
	f.StringVar(&o.LSMMountContext, "lsm-mount-context", "", "specify an LSM mount context to be used during restore")
	return cmd
}

func runRestore(ctx context.Context, g *global, o *restoreOptions, id string) (err error) {
	rt, err := g.runtime()
	if err != nil {
		return err
	}
	opts := o.RestoreOptions
	opts.ID, opts.CRIUOptions = id, o.criuFlags.CRIUOptions
	if opts.Bundle, err = filepath.Abs(o.bundle); err != nil {
		return err
	}
	var fore *runtime.Foreground
	switch {
	case o.console != "":
		opts.Terminal = runtime.ConsoleSocket(o.console)
	case !o.detach:
		if fore, err = runtime.NewForeground(); err != nil {
			return err
		}
		opts.Terminal, opts.IfTerminal, opts.Attach = fore.Socket, true, fore.Attach
	}
	if !o.detach && !o.noSubreaper {
		if err := runtime.Subreaper(); err != nil {
			return err
		}
	}
	proc, err := rt.Restore(ctx, opts)
	if err != nil {
		return err
	}
	defer proc.Close()
	if o.detach {
		return nil
	}
	defer func() { err = firstError(err, rt.Delete(ctx, id, true)) }()
	return attend(proc, fore)
}
