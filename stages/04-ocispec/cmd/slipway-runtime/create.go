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
	noPivot, noKeyring, trace, step       bool
	preserve                              int
}

func (o *createOptions) flags(f *pflag.FlagSet) {
	f.StringVarP(&o.bundle, "bundle", "b", "", "path to the root of the bundle directory, defaults to the current directory")
	f.StringVar(&o.console, "console-socket", "", "path to an AF_UNIX socket which will receive a file descriptor referencing the master end of the console's pseudoterminal")
	f.StringVar(&o.pidFile, "pid-file", "", "specify the file to write the process id to")
	f.StringVar(&o.pidfdSocket, "pidfd-socket", "", "path to an AF_UNIX socket which will receive a file descriptor referencing the init process")
	f.BoolVar(&o.noPivot, "no-pivot", false, "do not use pivot root to jail process inside rootfs")
	f.BoolVar(&o.noKeyring, "no-new-keyring", false, "do not create a new session keyring for the container")
	f.IntVar(&o.preserve, "preserve-fds", 0, "pass N additional file descriptors to the container (stdio + $LISTEN_FDS + N in total)")
	f.BoolVar(&o.trace, "trace", false, "print what each step took")
	f.BoolVar(&o.step, "step", false, "stop before each step and wait for enter")
}

// runtime are the options as the library takes them.
func (o *createOptions) runtime(id string) (runtime.CreateOptions, error) {
	bundle, err := filepath.Abs(o.bundle)
	if err != nil {
		return runtime.CreateOptions{}, err
	}
	opts := runtime.CreateOptions{
		ID: id, Bundle: bundle, PIDFile: o.pidFile, PIDFDSocket: o.pidfdSocket, PreserveFDs: o.preserve,
		NoPivot: o.noPivot, NoNewKeyring: o.noKeyring,
	}
	if o.console != "" {
		opts.Terminal = runtime.ConsoleSocket(o.console)
	}
	if o.trace {
		opts.Watch.Trace = new(launch.Trace)
	}
	if o.step {
		opts.Watch.Before = pause
	}
	return opts, nil
}

// pause shows the step that comes next and waits for a line on the terminal.
func pause(n int, s launch.Step) error {
	fmt.Fprintf(os.Stderr, "%3d  %-6s  %s\n               %s\n     enter to go on, q to give up: ", n+1, s.Side, s.Name, s.Because)
	tty, err := os.Open("/dev/tty")
	if err != nil {
		tty = os.Stdin
	} else {
		defer tty.Close()
	}
	b := make([]byte, 16)
	k, err := tty.Read(b)
	if err != nil || k > 0 && b[0] == 'q' {
		return errors.Join(errors.New("given up"), err)
	}
	return nil
}

func newCreate(g *global) *cobra.Command {
	o := new(createOptions)
	cmd := &cobra.Command{
		Use: "create [flags] CONTAINER", Short: "create a container, up to the moment when start lets its program run",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := one(cmd, args); err != nil {
				return err
			}
			return runCreate(cmd.Context(), g, o, args[0])
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
	opts, err := o.runtime(id)
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

func printTrace(t *launch.Trace) {
	if t != nil {
		if err := t.Print(os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}
