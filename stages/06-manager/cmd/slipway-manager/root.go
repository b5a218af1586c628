package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

// number is our version, as the Version service answers.
const number = "0.1.0"

// options are the flags; the names are containerd's.
type options struct {
	Address  string
	Root     string
	State    string
	LogLevel string
	Shim     string
	Check    bool
}

func newRoot(out, log io.Writer) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:           "slipway-manager",
		Short:         "Keep images, snapshots and tasks behind containerd's gRPC services",
		Args:          cobra.NoArgs,
		Version:       number,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Check {
				return runCheck(cmd.Context(), out, o)
			}
			return run(cmd.Context(), log, o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.Address, "address", "a", "/run/slipway/manager/manager.sock", "socket to serve on; shims publish to the same name with .ttrpc")
	f.StringVar(&o.Root, "root", "/var/lib/slipway/manager", "directory for what must last")
	f.StringVar(&o.State, "state", "/run/slipway/manager", "directory for what is gone after a reboot")
	f.StringVarP(&o.LogLevel, "log-level", "l", "info", "debug, info, warn or error")
	f.StringVar(&o.Shim, "shim", "", "program for runtime io.containerd.runc.v2 (default: slipway-shim beside this program)")
	f.BoolVar(&o.Check, "check", false, "check the metadata against the disk and leave; no manager may be running")
	return cmd
}

func run(ctx context.Context, log io.Writer, o options) error {
	if err := o.complete(); err != nil {
		return err
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.LogLevel)); err != nil {
		return fmt.Errorf("--log-level %s: %w", o.LogLevel, err)
	}
	m, err := newManager(ctx, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: level})), o)
	if err != nil {
		return err
	}
	return m.serve(ctx)
}

// complete makes paths absolute, since shims run in other directories, and finds our shim.
func (o *options) complete() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if o.Shim == "" {
		o.Shim = filepath.Join(filepath.Dir(self), "slipway-shim")
	}
	for _, p := range []*string{&o.Address, &o.Root, &o.State, &o.Shim} {
		if *p, err = filepath.Abs(*p); err != nil {
			return err
		}
	}
	return nil
}

func runCheck(ctx context.Context, out io.Writer, o options) error {
	if err := o.complete(); err != nil {
		return err
	}
	s, closeStore, err := openStore(o.Root, nil)
	if err != nil {
		return err
	}
	found := s.Check(ctx)
	for _, err := range found {
		fmt.Fprintln(out, err)
	}
	if err := closeStore(); err != nil {
		return err
	}
	if len(found) > 0 {
		return fmt.Errorf("%d problems in %s", len(found), o.Root)
	}
	fmt.Fprintln(out, "ok")
	return nil
}
