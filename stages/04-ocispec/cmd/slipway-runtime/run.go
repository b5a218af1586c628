package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
)

type runOptions struct {
	createOptions
	detach, noSubreaper, keep bool
}

func newRun(g *global) *cobra.Command {
	o := new(runOptions)
	cmd := &cobra.Command{
		Use: "run [flags] CONTAINER", Short: "create and run a container",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := one(cmd, args); err != nil {
				return err
			}
			return failed("run", runRun(cmd.Context(), g, o, args[0]))
		},
	}
	o.flags(cmd.Flags())
	cmd.Flags().BoolVarP(&o.detach, "detach", "d", false, "detach from the container's process")
	cmd.Flags().BoolVar(&o.noSubreaper, "no-subreaper", false, "disable the use of the subreaper used to reap reparented processes")
	cmd.Flags().BoolVar(&o.keep, "keep", false, "do not delete the container after it exits")
	return cmd
}

func runRun(ctx context.Context, g *global, o *runOptions, id string) (err error) {
	rt, err := g.runtime()
	if err != nil {
		return err
	}
	opts, err := o.runtime(g, id)
	if err != nil {
		return err
	}
	if !o.detach && !o.noSubreaper {
		if err := runtime.Subreaper(); err != nil {
			return err
		}
	}
	fore, err := o.foreground(&opts)
	if err != nil {
		return err
	}
	proc, err := rt.Create(ctx, opts)
	if err != nil {
		return err
	}
	defer proc.Close()
	if !o.detach && !o.keep {
		defer func() { err = firstError(err, rt.Delete(ctx, id, true)) }()
	}
	if err := rt.Start(ctx, id); err != nil {
		if program, ok := errors.AsType[*runtime.ProgramError](err); ok {
			err = &programFailure{program}
		}
		return errors.Join(err, rt.Delete(ctx, id, true))
	}
	printTrace(opts.Watch.Trace)
	if o.detach {
		return nil
	}
	return attend(proc, fore)
}

// failed says which program could not do what, as runc does: through an engine the error is read far from here.
func failed(verb string, err error) error {
	_, status := errors.AsType[exitCode](err)
	_, program := errors.AsType[*programFailure](err) // speaks as if the program had said so itself
	if err == nil || status || program {
		return err
	}
	return fmt.Errorf("%s %s failed: %w", filepath.Base(os.Args[0]), verb, err)
}

// firstError keeps an exit status as it is, unless clearing up failed.
func firstError(first, second error) error {
	if second != nil {
		return second
	}
	return first
}

// foreground offers our own terminal when nobody else takes it.
func (o *runOptions) foreground(opts *runtime.CreateOptions) (*runtime.Foreground, error) {
	if o.detach || o.console != "" {
		return nil, nil
	}
	fore, err := runtime.NewForeground()
	if err != nil {
		return nil, err
	}
	opts.Terminal, opts.IfTerminal, opts.Attach = fore.Socket, true, fore.Attach
	return fore, nil
}

// attend stays with a process until it ends.
func attend(proc *launch.Process, fore *runtime.Foreground) error {
	resized := func() {}
	var copied <-chan error
	if fore != nil && fore.Used() {
		var err error
		if copied, err = fore.Connect(); err != nil {
			return err
		}
		resized = fore.Resize
	}
	code, err := runtime.Forward(proc, resized)
	if copied != nil {
		err = errors.Join(err, <-copied, fore.Close())
	}
	if err != nil {
		return err
	}
	if code != 0 {
		return exitCode(code)
	}
	return nil
}
