package runtime

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/slipway-engine/slipway/stages/04-ocispec/criu"
)

func (r *restoration) closeInherited() {
	for _, f := range r.inherited {
		_ = f.Close() // criu has its copies
	}
}

// root is where criu finds the root file system, in its own mount namespace.
func (r *restoration) root() string { return filepath.Join(r.dir.Path, "criu-root") }

func (r *restoration) request() (*criu.Request, error) {
	o := r.job.base()
	o.Root, o.EvasiveDevices, o.Sibling = r.root(), true, true
	o.ConfigFile, o.LSMProfile, o.LSMMountContext = configFile(r.Annotations), r.opts.LSMProfile, r.opts.LSMMountContext
	if o.LSMProfile != "" || o.LSMMountContext != "" {
		if err := r.job.need(lsmCRIU, "--lsm-profile and --lsm-mount-context"); err != nil {
			return nil, err
		}
	}
	o.ExternalMounts = restoreMounts(r.externals)
	if err := r.namespaces(o); err != nil {
		return nil, err
	}
	var err error
	o.InheritFDs, err = r.streams(o.InheritFDs)
	return &criu.Request{Type: criu.Restore, Options: o}, err
}

// namespaces gives criu those that config.json joins.
func (r *restoration) namespaces(o *criu.Options) error {
	for _, n := range r.spec.Linux.Namespaces {
		switch {
		case n.Path == "":
		case n.Type == specs.NetworkNamespace || n.Type == specs.PIDNamespace:
			if err := r.job.needExternal(n.Type); err != nil {
				return err
			}
			f, err := os.Open(n.Path)
			if err != nil {
				return fmt.Errorf("requested %s namespace %s: %w", n.Type, n.Path, err)
			}
			r.inherited = append(r.inherited, f)
			o.InheritFDs = append(o.InheritFDs, criu.InheritFD{Key: externalKey(n.Type), FD: 3 + len(r.inherited)})
		case n.Type == specs.CgroupNamespace:
			return fmt.Errorf("linux.namespaces: criu cannot join the cgroup namespace %s", n.Path)
		default:
			o.JoinNamespaces = append(o.JoinNamespaces, criu.Pair{Key: namespaceFiles()[n.Type], Value: n.Path})
		}
	}
	return nil
}

// streams puts our own standard streams in the place of the pipes that the container's were.
func (r *restoration) streams(list []criu.InheritFD) ([]criu.InheritFD, error) {
	f, err := os.Open(filepath.Join(r.job.opts.ImagePath, descriptorsName))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var names []string
	if err := json.NewDecoder(io.LimitReader(f, maxDescriptors)).Decode(&names); err != nil {
		return nil, fmt.Errorf("%s: %w", descriptorsName, err)
	}
	pipe := regexp.MustCompile(`^pipe:\[\d+\]$`)
	for fd, name := range names[:min(len(names), 3)] {
		if pipe.MatchString(name) {
			list = append(list, criu.InheritFD{Key: name, FD: fd})
		}
	}
	return list, nil
}

// joinBudget moves criu into the container's cgroup, and tells it where that is: what it restores belongs there.
func (r *restoration) joinBudget(pid int, o *criu.Options) error {
	if r.group == nil {
		return nil
	}
	if err := r.group.Join(pid); err != nil {
		return err
	}
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) { // number:controllers:path, cgroups(7)
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) == 3 {
			o.CgroupRoots = append(o.CgroupRoots, criu.Pair{Key: f[1], Value: f[2]})
		}
	}
	return nil
}
