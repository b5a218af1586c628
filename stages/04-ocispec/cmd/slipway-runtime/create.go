package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
)

// createOptions are the flags of create, which run has too.
type createOptions struct {
	bundle, console, pidFile, pidfdSocket string
	noPivot, noKeyring                    bool
	preserve                              int
	watchOptions
}

func (o *createOptions) flags(f *pflag.FlagSet) {
	f.StringVarP(&o.bundle, "bundle", "b", "", "path to the root of the bundle directory, defaults to the current directory")
	f.StringVar(&o.console, "console-socket", "", "path to an AF_UNIX socket which will receive a file descriptor referencing the master end of the console's pseudoterminal")
	f.StringVar(&o.pidFile, "pid-file", "", "specify the file to write the process id to")
	f.StringVar(&o.pidfdSocket, "pidfd-socket", "", "path to an AF_UNIX socket which will receive a file descriptor referencing the init process")
	f.BoolVar(&o.noPivot, "no-pivot", false, "do not use pivot root to jail process inside rootfs")
	f.BoolVar(&o.noKeyring, "no-new-keyring", false, "do not create a new session keyring for the container")
	f.IntVar(&o.preserve, "preserve-fds", 0, "pass N additional file descriptors to the container (stdio + $LISTEN_FDS + N in total)")
	o.watchOptions.flags(f)
}

// runtime are the options as the library takes them.
func (o *createOptions) runtime(g *global, id string) (runtime.CreateOptions, error) {
	bundle, err := filepath.Abs(o.bundle)
	if err != nil {
		return runtime.CreateOptions{}, err
	}
	opts := runtime.CreateOptions{
		ID: id, Bundle: bundle, PIDFile: o.pidFile, PIDFDSocket: o.pidfdSocket, PreserveFDs: o.preserve,
		NoPivot: o.noPivot, NoNewKeyring: o.noKeyring, Watch: o.launch(g),
	}
	if o.console != "" {
		opts.Terminal = runtime.ConsoleSocket(o.console)
	}
	return opts, nil
}

func newCreate(g *global) *cobra.Command {
	o := new(createOptions)
	cmd := &cobra.Command{
		Use: "create [flags] CONTAINER", Short: "create a container, up to the moment when start lets its program run",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := one(cmd, args); err != nil {
				return err
			}
			return failed("create", runCreate(cmd.Context(), g, o, args[0]))
		},
	}
	o.flags(cmd.Flags())
	return cmd
}

func runCreate(ctx context.Context, g *global, o *createOptions, id string) error {
	rt, err := g.runtime()
	if err != nil {
		return err
	}
	opts, err := o.runtime(g, id)
	if err != nil {
		return err
	}
	proc, err := rt.Create(ctx, opts)
	if err != nil {
		return err
	}
	printTrace(opts.Watch.Trace)
	return proc.Close()
}

// printTrace ends a trace; what it has to say of a launch is no reason to fail.
func printTrace(t *launch.Trace) {
	if t == nil {
		return
	}
	if err := errors.Join(t.Finish(), t.Print(os.Stderr)); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
