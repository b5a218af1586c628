package main

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/slipway-engine/slipway/stages/05-shim/launch"
	"github.com/slipway-engine/slipway/stages/05-shim/reap"
	"github.com/slipway-engine/slipway/stages/05-shim/task"
)

// options are the protocol's flags (containerd, core/runtime/v2/README.md) and two of ours.
type options struct {
	namespace, id, address, publishBinary, bundle, socket string
	debug, version, info                                  bool
	root                                                  string
	action                                                string
}

func parseFlags(args []string) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("slipway-shim", flag.ContinueOnError)
	f.StringVar(&o.namespace, "namespace", "", "namespace that owns the container")
	f.StringVar(&o.id, "id", "", "id of the container")
	f.StringVar(&o.address, "address", "", "gRPC address of the manager")
	f.StringVar(&o.publishBinary, "publish-binary", "", "program that publishes events when TTRPC_ADDRESS is not set")
	f.StringVar(&o.bundle, "bundle", "", "path of the bundle (default: the working directory)")
	f.StringVar(&o.socket, "socket", "", "path of the socket to serve on (default: a hash in "+launch.DefaultSocketDir+")")
	f.BoolVar(&o.debug, "debug", false, "write more to the log")
	f.BoolVar(&o.version, "v", false, "print the version")
	f.BoolVar(&o.info, "info", false, "print what the shim and its runtime offer (protobuf)")
	f.StringVar(&o.root, "runtime-root", defaultRuntimeRoot, "where the runtime keeps its containers, when the caller does not say")
	f.Usage = func() {
		fmt.Fprintln(f.Output(), "usage: slipway-shim -namespace NS -id ID -address ADDR [options] start|delete")
		f.PrintDefaults()
	}
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	o.action = f.Arg(0)
	return o, nil
}

const defaultRuntimeRoot = "/run/slipway/runtime"

// complete checks what start and delete need, and fills in the bundle.
func (o *options) complete() (err error) {
	if o.namespace == "" || o.id == "" {
		return errors.New("-namespace and -id are needed")
	}
	if o.bundle == "" {
		o.bundle, err = os.Getwd()
	} else {
		o.bundle, err = filepath.Abs(o.bundle)
	}
	if err != nil {
		return fmt.Errorf("find the bundle: %w", err)
	}
	return nil
}

// socketDir may be moved by an environment variable, for tests and for engines beside each other.
func socketDir() string {
	if dir := os.Getenv("SLIPWAY_SHIM_SOCKETS"); dir != "" {
		return dir
	}
	return launch.DefaultSocketDir
}

// defaultRuntime is the runtime program when the caller names none: slipway-runtime beside this
// program, else on PATH, else runc.
func defaultRuntime() string {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "slipway-runtime")
		if info, err := os.Stat(beside); err == nil && info.Mode()&0o111 != 0 {
			return beside
		}
	}
	if path, err := exec.LookPath("slipway-runtime"); err == nil {
		return path
	}
	return "runc"
}

func (o *options) taskConfig(reaper *reap.Reaper, log *slog.Logger) task.Config {
	return task.Config{
		Namespace: o.namespace, Version: version(), Runtime: defaultRuntime(), Root: o.root,
		Debug: o.debug, Reaper: reaper, Log: log,
	}
}
