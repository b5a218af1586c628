package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"github.com/slipway-engine/slipway/stages/04-ocispec/criu"
	"github.com/slipway-engine/slipway/stages/04-ocispec/lifecycle"
)

// CheckpointOptions are what checkpoint is asked for.
type CheckpointOptions struct {
	CRIUOptions
	ParentPath      string // of an earlier checkpoint, relative to ImagePath: only memory that has changed since is written
	LeaveRunning    bool
	PreDump         bool // memory only; the container goes on
	TCPSkipInFlight bool
	LinkRemap       bool
	PageServer      *criu.PageServer
	StatusFD        int // with LazyPages: a zero byte is written to it when the pages can be asked for; -1: to none
}

// Checkpoint writes a container's processes to files and, unless it shall go on, removes it. What failed leaves it running.
func (rt *Runtime) Checkpoint(ctx context.Context, id string, opts CheckpointOptions) error {
	if opts.StatusFD >= 0 && opts.LazyPages {
		if err := writable(opts.StatusFD); err != nil {
			return fmt.Errorf("invalid --status-fd argument %d: %w", opts.StatusFD, err)
		}
	}
	return rt.with(id, lifecycle.Checkpoint, func(c *Container) error {
		if err := c.checkpoint(opts); err != nil || opts.LeaveRunning || opts.PreDump {
			return err
		}
		return c.remove(ctx)
	})
}

func writable(fd int) error {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err == nil && flags&unix.O_ACCMODE == unix.O_RDONLY {
		return errors.New("not writable")
	}
	return err
}

func (c *Container) checkpoint(opts CheckpointOptions) error {
	if err := checkParent(opts); err != nil {
		return err
	}
	job, err := c.rt.newCRIUJob(opts.CRIUOptions, "dump.log", true)
	if err != nil {
		return err
	}
	defer job.Close()
	request, err := c.dumpRequest(job, opts)
	if err != nil {
		return err
	}
	_, err = job.converse(request, func(r *criu.Response, f *os.File) error {
		if f != nil {
			return errors.Join(errors.New("a descriptor that nobody expects"), f.Close())
		}
		if r.Script == "status-ready" && opts.StatusFD >= 0 {
			_, err := unix.Write(opts.StatusFD, []byte{0})
			return errors.Join(err, unix.Close(opts.StatusFD))
		}
		return nil
	})
	if err != nil {
		job.quoteLog()
	}
	return err
}

func checkParent(opts CheckpointOptions) error {
	if opts.ParentPath == "" {
		return nil
	}
	if filepath.IsAbs(opts.ParentPath) {
		return errors.New("--parent-path must be relative")
	}
	if err := os.MkdirAll(opts.ImagePath, 0o700); err != nil {
		return err
	}
	dir, err := openDir(filepath.Join(opts.ImagePath, opts.ParentPath))
	if err != nil {
		return fmt.Errorf("invalid --parent-path: %w", err)
	}
	return dir.Close()
}

// dumpRequest says what shall be written, and what is not the container's own.
func (c *Container) dumpRequest(job *criuJob, opts CheckpointOptions) (*criu.Request, error) {
	o := job.base()
	o.PID, o.Root, o.ConfigFile = c.Process.PID, c.Rootfs, configFile(c.Annotations)
	o.LeaveRunning, o.TCPSkipInFlight, o.LinkRemap = opts.LeaveRunning, opts.TCPSkipInFlight, opts.LinkRemap
	o.ParentImage, o.TrackMemory, o.PageServer = opts.ParentPath, opts.ParentPath != "", opts.PageServer
	if err := c.freezer(job, o); err != nil {
		return nil, err
	}
	if opts.LazyPages || opts.PreDump {
		want := criu.Features{LazyPages: opts.LazyPages, MemoryTracking: opts.PreDump}
		if err := job.needFeatures(want); err != nil {
			return nil, err
		}
	}
	if opts.StatusFD >= 0 && opts.LazyPages {
		if err := job.need(statusReadyCRIU, "--status-fd"); err != nil {
			return nil, err
		}
	}
	if err := c.externalNamespaces(job, o); err != nil {
		return nil, err
	}
	if opts.PreDump {
		o.TrackMemory = true
		return &criu.Request{Type: criu.PreDump, Options: o}, nil
	}
	var err error
	if o.ExternalMounts, err = c.dumpMounts(); err != nil {
		return nil, err
	}
	return &criu.Request{Type: criu.Dump, Options: o}, c.writeDescriptors(opts.ImagePath)
}

func (j *criuJob) needFeatures(want criu.Features) error {
	resp, err := j.ask(&criu.Request{Type: criu.FeatureCheck, Features: &want})
	switch {
	case err != nil:
		return fmt.Errorf("CRIU feature check failed: %w", err)
	case want.LazyPages && !resp.Features.LazyPages:
		return errors.New("criu is missing features: [LazyPages]")
	case want.MemoryTracking && !resp.Features.MemoryTracking:
		return errors.New("criu is missing features: [MemTrack]")
	}
	return nil
}

// freezer names the cgroup by which criu can stop all processes at once.
func (c *Container) freezer(job *criuJob, o *criu.Options) error {
	if c.Cgroup == "" {
		return nil
	}
	group, err := c.group()
	if err != nil {
		return err
	}
	for _, d := range group.Dirs() {
		if slices.Contains(d.Controllers, "freezer") || d.Version == 2 && group.Layout().Mode() == cgroup.V2 && job.version >= freezeV2CRIU {
			o.FreezeCgroup = d.Path
			return nil
		}
	}
	return nil
}

// externalNamespaces leaves out the namespaces that config.json has joined.
func (c *Container) externalNamespaces(job *criuJob, o *criu.Options) error {
	s, err := c.dir.Config()
	if err != nil {
		return err
	}
	for _, kind := range externalKinds() {
		if namespacePath(s, kind) == "" {
			continue
		}
		if err := job.needExternal(kind); err != nil {
			return err
		}
		var st unix.Stat_t
		name := namespaceFiles()[kind]
		if err := unix.Stat("/proc/"+strconv.Itoa(c.Process.PID)+"/ns/"+name, &st); err != nil {
			return fmt.Errorf("%s namespace of process %d: %w", kind, c.Process.PID, err)
		}
		o.External = append(o.External, fmt.Sprintf("%s[%d]:%s", name, st.Ino, externalKey(kind)))
	}
	return nil
}

// writeDescriptors notes what the standard streams were: restore puts its own in the place of pipes.
func (c *Container) writeDescriptors(dir string) error {
	var list []string
	for fd := range 3 {
		target, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", c.Process.PID, fd))
		if err != nil {
			target = "" // it has closed it
		}
		list = append(list, target)
	}
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, descriptorsName), text, 0o600)
}
