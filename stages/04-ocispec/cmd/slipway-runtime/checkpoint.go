package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/slipway-engine/slipway/stages/04-ocispec/criu"
	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
)

// criuFlags are those that checkpoint and restore both have.
type criuFlags struct {
	runtime.CRIUOptions
	cgroups string
	empty   []string
}

func (o *criuFlags) flags(f *pflag.FlagSet) {
	f.StringVar(&o.ImagePath, "image-path", "checkpoint", "path to the criu image files")
	f.StringVar(&o.WorkPath, "work-path", "", "path for saving work files and logs")
	f.BoolVar(&o.TCPEstablished, "tcp-established", false, "allow open tcp connections")
	f.BoolVar(&o.ExternalUnixSockets, "ext-unix-sk", false, "allow external unix sockets")
	f.BoolVar(&o.ShellJob, "shell-job", false, "allow shell jobs")
	f.BoolVar(&o.FileLocks, "file-locks", false, "handle file locks, for safety")
	f.BoolVar(&o.LazyPages, "lazy-pages", false, "use userfaultfd to lazily restore memory pages")
	f.BoolVar(&o.AutoDedup, "auto-dedup", false, "enable auto deduplication of memory images")
	f.StringVar(&o.cgroups, "manage-cgroups-mode", "", "cgroups mode: soft|full|strict|ignore (default: soft)")
	f.StringArrayVar(&o.empty, "empty-ns", nil, "create a namespace, but don't restore its properties (network; it is always so)")
}

// read checks the flags whose values are words.
func (o *criuFlags) read() error {
	modes := map[string]criu.CgroupMode{
		"": criu.DefaultCgroups, "soft": criu.SoftCgroups, "full": criu.FullCgroups, "strict": criu.StrictCgroups, "ignore": criu.IgnoreCgroups,
	}
	mode, ok := modes[o.cgroups]
	if !ok {
		return fmt.Errorf("invalid manage-cgroups-mode value %q", o.cgroups)
	}
	o.Cgroups = mode
	for _, ns := range o.empty {
		if ns != "network" {
			return fmt.Errorf("namespace %q is not supported", ns)
		}
	}
	if o.ImagePath == "" {
		o.ImagePath = "checkpoint"
	}
	return nil
}

func newCheckpoint(g *global) *cobra.Command {
	o, c, server := new(criuFlags), new(runtime.CheckpointOptions), ""
	cmd := &cobra.Command{
		Use: "checkpoint [flags] CONTAINER", Short: "checkpoint a running container, with criu(8)",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := errors.Join(one(cmd, args), o.read()); err != nil {
				return err
			}
			if c.PageServer, err = pageServer(server); err != nil {
				return err
			}
			rt, err := g.runtime()
			if err != nil {
				return err
			}
			g.warnRootless("checkpoint")
			c.CRIUOptions = o.CRIUOptions
			return rt.Checkpoint(cmd.Context(), args[0], *c)
		},
	}
	f := cmd.Flags()
	o.flags(f)
	f.StringVar(&c.ParentPath, "parent-path", "", "path for previous criu image files in pre-dump, relative to --image-path")
	f.BoolVar(&c.LeaveRunning, "leave-running", false, "leave the process running after checkpointing")
	f.BoolVar(&c.TCPSkipInFlight, "tcp-skip-in-flight", false, "skip in-flight tcp connections")
	f.BoolVar(&c.LinkRemap, "link-remap", false, "allow one to link unlinked files back when possible")
	f.IntVar(&c.StatusFD, "status-fd", -1, "write \\0 to this FD once lazy-pages is ready")
	f.StringVar(&server, "page-server", "", "ADDRESS:PORT of the page server")
	f.BoolVar(&c.PreDump, "pre-dump", false, "dump container's memory information only, leave the container running after this")
	return cmd
}

func pageServer(s string) (*criu.PageServer, error) {
	if s == "" {
		return nil, nil
	}
	address, port, err := net.SplitHostPort(s)
	if err != nil || address == "" || port == "" {
		return nil, errors.New("use --page-server ADDRESS:PORT to specify page server")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("invalid port number %q", port)
	}
	return &criu.PageServer{Address: address, Port: int(n)}, nil
}

func (g *global) warnRootless(verb string) {
	if os.Geteuid() != 0 {
		g.out.warn(verb + " is untested with rootless containers")
	}
}
