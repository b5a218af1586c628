package runtime

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/04-ocispec/criu"
)

// CRIUOptions are what checkpoint and restore are both asked for. Paths are relative to the working directory.
type CRIUOptions struct {
	Program             string          // criu, by path; "": looked for in PATH
	ImagePath           string          // directory of the image files; made when it is missing
	WorkPath            string          // directory of criu's logs; "": ImagePath
	Cgroups             criu.CgroupMode // criu.DefaultCgroups, unless --manage-cgroups-mode says otherwise
	TCPEstablished      bool
	ExternalUnixSockets bool
	ShellJob            bool
	FileLocks           bool
	AutoDedup           bool
	LazyPages           bool
}

// The versions of criu, as it counts them, from which on it can do something.
const (
	oldestCRIU       = 30000 // it tells its version
	externalNetCRIU  = 31100
	freezeV2CRIU     = 31400
	statusReadyCRIU  = 31500 // and external pid namespaces
	lsmCRIU          = 31600
	descriptorsName  = "descriptors.json"
	maxDescriptors   = 4 << 10
	defaultCRIUConf  = "/etc/criu/runc.conf" // where operators of runc have it
	criuConfigAnnot  = "org.criu.config"
	externalNSPrefix = "extRoot"
)

// criuJob is a conversation with one criu, and the directories that it works in.
type criuJob struct {
	rt              *Runtime
	opts            CRIUOptions
	program         string
	images, work    *os.File
	version         int
	logDir, logFile string
}

// newCRIUJob opens the directories and asks criu for its version. Close releases them.
func (rt *Runtime) newCRIUJob(opts CRIUOptions, logFile string, make bool) (_ *criuJob, err error) {
	job := &criuJob{rt: rt, opts: opts, program: opts.Program, logDir: opts.ImagePath, logFile: logFile}
	if job.program == "" {
		if job.program, err = exec.LookPath("criu"); err != nil {
			return nil, fmt.Errorf("criu is needed to make and to restore checkpoints: %w", err)
		}
	}
	if job.program, err = filepath.Abs(job.program); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, job.Close())
		}
	}()
	if make {
		if err := os.MkdirAll(opts.ImagePath, 0o700); err != nil {
			return nil, err
		}
	}
	if job.images, err = openDir(opts.ImagePath); err != nil {
		return nil, fmt.Errorf("image path: %w", err)
	}
	if opts.WorkPath != "" {
		if err := os.Mkdir(opts.WorkPath, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, err
		}
		if job.work, err = openDir(opts.WorkPath); err != nil {
			return nil, fmt.Errorf("work path: %w", err)
		}
		job.logDir = opts.WorkPath
	}
	resp, err := job.ask(&criu.Request{Type: criu.Version})
	if err != nil {
		return nil, fmt.Errorf("CRIU version check failed: %w", err)
	}
	job.version = resp.Version
	return job, job.need(oldestCRIU, "its protocol")
}

func openDir(name string) (*os.File, error) {
	return os.OpenFile(name, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}

// openAgain opens the directories once more through a process's mount namespace: criu mounts in its work directory, which only a
// descriptor that belongs to its own mounts allows.
func (j *criuJob) openAgain(pid int, o *criu.Options) error {
	for _, d := range []struct {
		file **os.File
		name string
		to   *int
	}{{&j.images, j.opts.ImagePath, &o.ImagesDir}, {&j.work, j.opts.WorkPath, &o.WorkDir}} {
		if *d.file == nil {
			continue
		}
		name, err := filepath.Abs(d.name)
		if err != nil {
			return err
		}
		f, err := openDir(fmt.Sprintf("/proc/%d/root%s", pid, name))
		if err != nil {
			return err
		}
		if err := (*d.file).Close(); err != nil {
			return errors.Join(err, f.Close())
		}
		*d.file, *d.to = f, int(f.Fd())
	}
	return nil
}

func (j *criuJob) Close() error {
	var err error
	for _, f := range []*os.File{j.images, j.work} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}

// need makes a missing ability an error that names it.
func (j *criuJob) need(version int, what string) error {
	if j.version < version {
		return fmt.Errorf("CRIU version %d must be %d or higher for %s", j.version, version, what)
	}
	return nil
}

// ask has a short conversation with a criu of its own.
func (j *criuJob) ask(r *criu.Request) (*criu.Response, error) {
	return j.converse(r, nil)
}

// converse runs criu for one request. It shares no standard streams with us: what it has to say is in its log.
func (j *criuJob) converse(r *criu.Request, notify func(*criu.Response, *os.File) error) (resp *criu.Response, err error) {
	ours, theirs, err := criu.Socket()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(j.program, "swrk", "3")
	cmd.ExtraFiles = []*os.File{theirs}
	err = asGiven(cmd.Start)
	if err = errors.Join(err, theirs.Close()); err != nil {
		return nil, errors.Join(err, ours.Close())
	}
	resp, err = criu.Do(ours, r, notify)
	err = errors.Join(err, ours.Close()) // before the wait: criu ends when nobody speaks to it any more
	if waitErr := cmd.Wait(); err == nil && waitErr != nil && r.Type == criu.Dump {
		err = fmt.Errorf("criu failed: %w", waitErr)
	}
	return resp, err
}

// base are the options that do not depend on the container.
func (j *criuJob) base() *criu.Options {
	o := &criu.Options{
		ImagesDir: int(j.images.Fd()), LogFile: j.logFile, LogLevel: 4, NotifyScripts: true, OrphanTerminal: true,
		Cgroups: j.opts.Cgroups, EmptyNamespaces: unix.CLONE_NEWNET, // devices of a network are not the runtime's
		TCPEstablished: j.opts.TCPEstablished, ExternalUnixSockets: j.opts.ExternalUnixSockets, ShellJob: j.opts.ShellJob,
		FileLocks: j.opts.FileLocks, AutoDedup: j.opts.AutoDedup, LazyPages: j.opts.LazyPages,
	}
	if j.work != nil {
		o.WorkDir = int(j.work.Fd())
	}
	return o
}

// configFile is what the annotation names, nothing when it is empty, and runc's place without one.
func configFile(annotations map[string]string) string {
	if name, ok := annotations[criuConfigAnnot]; ok {
		return name
	}
	return defaultCRIUConf
}

// quoteLog warns with the lines of criu's log that say what went wrong.
func (j *criuJob) quoteLog() {
	name := filepath.Join(j.logDir, j.logFile)
	f, err := os.Open(name)
	if err != nil {
		return // it did not come so far
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for left := 10; lines.Scan() && left > 0; {
		if strings.Contains(lines.Text(), "Error") {
			j.rt.Warn(fmt.Sprintf("%s: %s", name, lines.Text()))
			left--
		}
	}
}

// namespacePath is where config.json has a namespace from; "" when it is new, or the host's.
func namespacePath(s *specs.Spec, kind specs.LinuxNamespaceType) string {
	for _, n := range s.Linux.Namespaces {
		if n.Type == kind {
			return n.Path
		}
	}
	return ""
}

// externalKey is the name by which the images know a namespace that is not theirs (criu(8), --external).
func externalKey(kind specs.LinuxNamespaceType) string {
	name := namespaceFiles()[kind]
	return externalNSPrefix + strings.ToUpper(name[:1]) + name[1:] + "NS"
}

// externalKinds can be kept out of a checkpoint: criu leaves them alone and expects them to be there again.
func externalKinds() []specs.LinuxNamespaceType {
	return []specs.LinuxNamespaceType{specs.NetworkNamespace, specs.PIDNamespace}
}

// needExternal checks the version for a kind.
func (j *criuJob) needExternal(kind specs.LinuxNamespaceType) error {
	version := externalNetCRIU
	if kind == specs.PIDNamespace {
		version = statusReadyCRIU
	}
	return j.need(version, "a "+string(kind)+" namespace that config.json joins")
}
