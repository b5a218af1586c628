// A runtime keeps one thread busy and ends soon. Without these settings each start looks for the cgroup's CPU quota in four files,
// and starts a goroutine to watch it (Go documentation, "GODEBUG").
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Command slipway-runtime creates and runs containers from OCI bundles, with runc's command line.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/02-cgroups/dbus"
	"github.com/slipway-engine/slipway/stages/04-ocispec/entry"
	"github.com/slipway-engine/slipway/stages/04-ocispec/readonly"
	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
	"github.com/slipway-engine/slipway/stages/04-ocispec/state"
)

func main() {
	g := new(global)
	if f := readonly.Failed; f != nil {
		os.Exit(g.finish(fmt.Errorf("read-only view of our own program: %s: %w", f.Call, unix.Errno(f.Errno))))
	}
	if entry.Ran() {
		_ = os.Unsetenv("GOMAXPROCS") // which cannot fail: the name is one
	}
	os.Exit(g.finish(unknownTopic(newRoot(g, os.Args[1:]).ExecuteContext(context.Background()))))
}

// global are the options before the verb, and what they lead to.
type global struct {
	root, log, logFormat, rootless string
	debug, systemd                 bool
	out                            *logger
}

// exitCode ends the program with the status of the container's process.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// failure is an error of ours whose exit status is not 1.
type failure struct {
	error
	code int
}

func (f *failure) Unwrap() error { return f.error }

// programFailure is a program that run could not execute, behind the start gate: it is told as the program itself would.
type programFailure struct{ cause *runtime.ProgramError }

func (p *programFailure) Error() string {
	return fmt.Sprintf("exec %s: %v", p.cause.Program, p.cause.Err)
}

func (p *programFailure) Unwrap() error { return p.cause }

// finish reports an error where the caller looks for it: runc's callers read the last line of the log.
func (g *global) finish(err error) int {
	if err == nil {
		return 0
	}
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	if g.out == nil {
		g.out = &logger{stderr: os.Stderr}
	}
	if _, ok := errors.AsType[*programFailure](err); ok {
		g.out.bare(err)
		return 255
	}
	g.out.error(err)
	if f, ok := errors.AsType[*failure](err); ok {
		return f.code
	}
	return 1
}

func newRoot(g *global, args []string) *cobra.Command {
	cmd := &cobra.Command{
		Use: program(), Short: about,
		SilenceErrors: true, SilenceUsage: true,
		Version:           versionText(),
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		PersistentPreRunE: func(*cobra.Command, []string) error { return g.open() },
	}
	cmd.SetVersionTemplate("{{.Version}}")
	setHelp(cmd)
	f := cmd.PersistentFlags()
	f.StringVar(&g.root, "root", defaultRoot(), "root directory for storage of container state")
	f.StringVar(&g.log, "log", "", "set the log file to write logs to (default is stderr)")
	f.StringVar(&g.logFormat, "log-format", "text", "set the log format (text or json)")
	f.BoolVar(&g.debug, "debug", false, "enable debug logging")
	f.BoolVar(&g.systemd, "systemd-cgroup", false, "enable systemd cgroup support, expects cgroupsPath to be of form \"slice:prefix:name\" for e.g. \"system.slice:runc:434234\"")
	f.StringVar(&g.rootless, "rootless", "auto", "ignore cgroup permission errors (true, false or auto)")
	for _, v := range wanted(args) {
		cmd.AddCommand(v.make(g))
	}
	cmd.SetArgs(styled(cmd, args))
	return cmd
}

func defaultRoot() string {
	if os.Getenv("XDG_RUNTIME_DIR") != "" && ordinary() {
		return filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "slipway", "runtime")
	}
	return "/run/slipway/runtime"
}

// ordinary tells whether the caller has a runtime directory of its own: who is not root, or is root of a user namespace alone. There
// USER says which of them somebody wants to be, as with runc.
func ordinary() bool {
	return os.Geteuid() != 0 || dbus.Self() != 0 && os.Getenv("USER") != "root"
}

// open sets up the log and refuses what cannot be done.
func (g *global) open() error {
	out, err := openLog(g.log, g.logFormat, g.debug)
	if err != nil {
		return err
	}
	g.out = out
	_, err = g.cgroups()
	return err
}

// runtime is the library that the verbs call.
func (g *global) runtime() (*runtime.Runtime, error) {
	root, err := state.Open(g.root)
	if err != nil {
		return nil, err
	}
	options, err := g.cgroups()
	if err != nil {
		return nil, err
	}
	rt := runtime.New(root, g.out.warn)
	rt.Cgroups(options)
	if g.out.debug {
		rt.Debug = func(text string) { g.out.debugf("%s", text) }
	}
	return rt, nil
}

// cgroups reads --systemd-cgroup and --rootless.
func (g *global) cgroups() (runtime.CgroupOptions, error) {
	o := runtime.CgroupOptions{Systemd: g.systemd}
	if g.rootless == "auto" {
		return o, nil
	}
	rootless, err := strconv.ParseBool(g.rootless)
	if err != nil {
		return o, fmt.Errorf("invalid value %q for --rootless: it is true, false or auto", g.rootless)
	}
	o.Rootless = &rootless
	return o, nil
}

// one wants the container's id and nothing else.
func one(cmd *cobra.Command, args []string) error { return count(cmd, args, 1, 1) }

// count checks how many arguments there are.
func count(cmd *cobra.Command, args []string, least, most int) error {
	if len(args) < least || most >= 0 && len(args) > most {
		if least == most {
			return fmt.Errorf("%s: %q requires exactly %d argument(s)", os.Args[0], cmd.Name(), least)
		}
		if len(args) > least {
			return fmt.Errorf("%s: %q requires a maximum of %d argument(s)", os.Args[0], cmd.Name(), most)
		}
		return fmt.Errorf("%s: %q requires a minimum of %d argument(s)", os.Args[0], cmd.Name(), least)
	}
	return nil
}
