package plan

import (
	"cmp"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/03-rootfs/enter"
	"github.com/slipway-engine/slipway/stages/04-ocispec/spec"
)

// rootConfig says what the root file system shall look like.
func (c *compiler) rootConfig() (enter.Config, error) {
	l := c.spec.Linux
	config := enter.Config{
		Root: path.Clean(c.spec.Root.Path), Readonly: c.spec.Root.Readonly, Workdir: c.proc.Cwd, NoPivot: c.req.NoPivot,
		OnHost:      !spec.Has(c.spec, specs.MountNamespace),
		Propagation: enter.Propagation(l.RootfsPropagation), ParentMount: c.facts.ParentMount,
		MaskedPaths: l.MaskedPaths, ReadonlyPaths: l.ReadonlyPaths,
		ParentOpens: spec.Has(c.spec, specs.UserNamespace) && !c.facts.Rootless, BindDevices: spec.Has(c.spec, specs.UserNamespace),
	}
	for i, m := range c.spec.Mounts {
		list, err := c.mounts(m)
		if err != nil {
			return config, fmt.Errorf("mounts[%d]: %w", i, err)
		}
		config.Mounts = append(config.Mounts, list...)
	}
	if ownDev(c.spec) {
		config.Devices, config.Links = c.devices(), c.links()
		if c.socket != 0 {
			config.Console = &enter.Console{Socket: c.socket, UID: c.proc.User.UID}
		}
	}
	if c.socket != 0 && config.Console == nil {
		return config, fmt.Errorf("process.terminal: it needs a /dev of the container's own")
	}
	if box := c.proc.ConsoleSize; box != nil && config.Console != nil {
		config.Console.Rows, config.Console.Columns = uint16(box.Height), uint16(box.Width)
	}
	return config, nil
}

// ownDev tells whether the container has a /dev in which nodes and links can be made: not when it shows somebody else's, and not
// when its mounts are the host's and it brings none, because they would stay in the image.
func ownDev(s *specs.Spec) bool {
	own := spec.Has(s, specs.MountNamespace)
	for _, m := range s.Mounts {
		if path.Clean("/"+m.Destination) == "/dev" {
			if enter.ParseOptions(m.Options).Bind() {
				return false
			}
			own = true
		}
	}
	return own
}

// mounts translates one entry; a cgroup mount of v1 becomes several.
func (c *compiler) mounts(m specs.Mount) ([]enter.Mount, error) {
	o := enter.ParseOptions(m.Options)
	target := c.target(m.Destination)
	switch {
	case o.CopyUp && (o.Bind() || m.Type != "tmpfs"):
		return nil, fmt.Errorf("options: tmpcopyup is for a tmpfs, not for %q", m.Type)
	case o.CopyUp && c.facts.Rootless:
		return nil, fmt.Errorf("options: tmpcopyup needs root")
	case o.Bind():
		return []enter.Mount{{Source: m.Source, Target: target, Options: o, SourceIsDir: !c.facts.Files[m.Source], IDs: c.ids(m, o), OverProc: spec.MayCoverProc(target)}}, nil
	case m.Type == "cgroup" || m.Type == "cgroup2":
		return c.cgroupMounts(target, o), nil
	case m.Type == "" && o.Flags&unix.MS_REMOUNT == 0:
		return nil, fmt.Errorf("type: it is missing")
	}
	if mode, ok := c.facts.Modes[target]; ok && m.Type == "tmpfs" && !strings.Contains(","+o.Data, ",mode=") {
		o.Data = strings.TrimPrefix(fmt.Sprintf("%s,mode=%o", o.Data, mode), ",")
	}
	o.Data = c.context(m, o.Data)
	return []enter.Mount{{Source: m.Source, Target: target, Type: m.Type, Options: o, OverProc: spec.MayCoverProc(target)}}, nil
}

// target is where a destination lies in the container. One that names the root file system's place on the host means what is
// below it, as runc has always understood it. One behind a link whose end is missing is made where the link leads.
func (c *compiler) target(destination string) string {
	target := path.Clean("/" + destination)
	if root := path.Clean(c.spec.Root.Path); root != "/" && strings.HasPrefix(target+"/", root+"/") {
		target = path.Clean("/" + strings.TrimPrefix(target, root))
	}
	return cmp.Or(c.facts.Targets[target], target)
}

// ids is the map of an id-mapped mount: its own, or that of the container's user namespace.
func (c *compiler) ids(m specs.Mount, o enter.Options) *enter.IDs {
	if !spec.IDMapped(m) {
		return nil
	}
	uids, gids, path := m.UIDMappings, m.GIDMappings, ""
	if len(uids) == 0 {
		uids, gids = c.spec.Linux.UIDMappings, c.spec.Linux.GIDMappings
		for _, n := range c.spec.Linux.Namespaces {
			if n.Type == specs.UserNamespace {
				path = n.Path
			}
		}
	}
	return &enter.IDs{Deep: o.IDMap == "ridmap", Users: func() (*os.File, error) {
		if path != "" {
			return openNamespace(path, unix.CLONE_NEWUSER)
		}
		return mappedUsers(uids, gids)
	}}
}

// cgroupMounts shows the container its groups: the one tree of v2, or every hierarchy of v1 in a directory of its own, which
// with a cgroup namespace is a mount of the hierarchy and without one a bind of the container's group.
func (c *compiler) cgroupMounts(target string, o enter.Options) []enter.Mount {
	if c.facts.Cgroup.V2 {
		o.Data = ""
		if spec.Has(c.spec, specs.UserNamespace) && !spec.New(c.spec, specs.CgroupNamespace) || c.showsHostTree(target) {
			o.Flags |= unix.MS_BIND | unix.MS_REC // the host's tree may not be mounted from a user namespace: show the group
			return []enter.Mount{{Source: c.facts.Cgroup.Dir, Target: target, SourceIsDir: true, Options: o}}
		}
		return []enter.Mount{{Source: "cgroup", Target: target, Type: "cgroup2", Options: o}}
	}
	base := o
	base.Data = "mode=755"
	list := []enter.Mount{{Source: "tmpfs", Target: target, Type: "tmpfs", Options: base}}
	private := spec.New(c.spec, specs.CgroupNamespace)
	for _, h := range c.facts.Cgroup.Mounted {
		one := o
		m := enter.Mount{Source: "cgroup", Target: path.Join(target, h.Name), Type: "cgroup", Options: one}
		m.Data = h.Data
		if !private {
			m = enter.Mount{Source: h.Group, Target: m.Target, SourceIsDir: true, Options: one}
			m.Flags |= unix.MS_BIND | unix.MS_REC
			m.Data = ""
		}
		list = append(list, m)
	}
	return list
}

// devices are the default ones and those of config.json, which win.
func (c *compiler) devices() []enter.Device {
	var list []enter.Device
	own := func(p string) bool {
		return slices.ContainsFunc(c.spec.Linux.Devices, func(d specs.LinuxDevice) bool { return path.Clean(d.Path) == p })
	}
	for _, d := range enter.DefaultDevices() {
		if !own(d.Path) {
			list = append(list, d)
		}
	}
	for _, d := range c.spec.Linux.Devices {
		if path.Clean(d.Path) == "/dev/ptmx" { // the container has its own, in /dev/pts
			continue
		}
		list = append(list, device(d))
	}
	return list
}

func device(d specs.LinuxDevice) enter.Device {
	out := enter.Device{Path: path.Clean(d.Path), Major: uint32(d.Major), Minor: uint32(d.Minor), Mode: 0o666}
	out.Type = map[string]uint32{"c": unix.S_IFCHR, "u": unix.S_IFCHR, "b": unix.S_IFBLK, "p": unix.S_IFIFO}[d.Type]
	if d.FileMode != nil {
		out.Mode = uint32(d.FileMode.Perm())
	}
	if d.UID != nil {
		out.UID = *d.UID
	}
	if d.GID != nil {
		out.GID = *d.GID
	}
	return out
}

// links are the default ones, and short names of cgroup hierarchies that several controllers share.
func (c *compiler) links() []enter.Link {
	return slices.DeleteFunc(enter.DefaultLinks(), func(l enter.Link) bool {
		return slices.ContainsFunc(c.spec.Mounts, func(m specs.Mount) bool { return path.Clean("/"+m.Destination) == strings.TrimSpace(l.Path) })
	})
}
