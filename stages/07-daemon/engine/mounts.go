package engine

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
	"github.com/slipway-engine/slipway/stages/07-daemon/ociconfig"
	"github.com/slipway-engine/slipway/stages/07-daemon/volumes"
)

// ParseBind reads one value of -v: SOURCE:DESTINATION[:MODE], with a source that is a path or a volume's name.
func ParseBind(text string) (MountPoint, error) {
	bad := func(why string) (MountPoint, error) {
		return MountPoint{}, fault.Invalid("invalid volume specification: '%s': %s", text, why)
	}
	parts := strings.Split(text, ":")
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" {
		return bad("want source:destination[:mode]")
	}
	m := MountPoint{Type: mount.TypeBind, Source: parts[0], Destination: path.Clean(parts[1])}
	if !path.IsAbs(parts[1]) {
		return bad(fmt.Sprintf("invalid mount path: '%s' mount path must be absolute", parts[1]))
	}
	if m.Destination == "/" {
		return bad("destination can't be '/'")
	}
	if !path.IsAbs(m.Source) {
		m.Type, m.Name, m.Source = mount.TypeVolume, m.Source, ""
	}
	if len(parts) == 3 {
		m.Mode = parts[2]
		if err := m.applyMode(); err != nil {
			return bad(err.Error())
		}
	}
	return m, nil
}

func (m *MountPoint) applyMode() error {
	for _, word := range strings.Split(m.Mode, ",") {
		switch {
		case word == "ro":
			m.ReadOnly = true
		case word == "rw" || word == "z" || word == "Z" || word == "nocopy" || word == "cached" || word == "delegated" || word == "consistent" || word == "":
		case slices.Contains(mount.Propagations, mount.Propagation(word)):
			m.Propagation = mount.Propagation(word)
		default:
			return fmt.Errorf("invalid mode: %s", m.Mode)
		}
	}
	return nil
}

// resolveMounts turns all the ways of asking for a mount into mount points; a later way does not override an
// earlier one. It makes volumes, and missing sources of -v, which is why it is not pure.
func (e *Engine) resolveMounts(cfg *container.Config, hc *container.HostConfig) ([]MountPoint, error) {
	found := map[string]MountPoint{}
	add := func(m MountPoint, explicit bool) error {
		if _, double := found[m.Destination]; double {
			if explicit {
				return fault.Invalid("Duplicate mount point: %s", m.Destination)
			}
			return nil
		}
		found[m.Destination] = m
		return nil
	}
	for _, text := range hc.Binds {
		m, err := ParseBind(text)
		if err != nil {
			return nil, err
		}
		if err := add(m, true); err != nil {
			return nil, err
		}
	}
	for _, asked := range hc.Mounts {
		m, err := fromMount(asked)
		if err != nil {
			return nil, err
		}
		if err := add(m, true); err != nil {
			return nil, err
		}
	}
	for dst, opts := range hc.Tmpfs {
		m := MountPoint{Type: mount.TypeTmpfs, Destination: path.Clean(dst), Mode: opts}
		if opts != "" {
			m.Options = strings.Split(opts, ",")
		}
		if err := add(m, true); err != nil {
			return nil, err
		}
	}
	if err := e.volumesFrom(hc.VolumesFrom, add); err != nil {
		return nil, err
	}
	for dst := range cfg.Volumes {
		if err := add(MountPoint{Type: mount.TypeVolume, Destination: path.Clean(dst)}, false); err != nil {
			return nil, err
		}
	}
	list := slices.SortedFunc(maps.Values(found), func(a, b MountPoint) int { return cmp.Compare(a.Destination, b.Destination) })
	for i := range list {
		if err := e.provide(&list[i], slices.ContainsFunc(hc.Binds, func(b string) bool { return strings.HasPrefix(b, list[i].Source+":") })); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// fromMount translates --mount.
func fromMount(a mount.Mount) (MountPoint, error) {
	m := MountPoint{Type: a.Type, Source: a.Source, Destination: path.Clean(a.Target), ReadOnly: a.ReadOnly}
	if !path.IsAbs(a.Target) {
		return m, fault.Invalid("invalid mount config for type %q: invalid mount path: '%s' mount path must be absolute", a.Type, a.Target)
	}
	switch a.Type {
	case mount.TypeBind:
		if !path.IsAbs(a.Source) {
			return m, fault.Invalid("invalid mount config for type %q: invalid mount path: '%s' mount path must be absolute", a.Type, a.Source)
		}
		if o := a.BindOptions; o != nil {
			m.Propagation, m.NonRecursive = o.Propagation, o.NonRecursive
		}
	case mount.TypeVolume:
		m.Name, m.Source = a.Source, ""
		if o := a.VolumeOptions; o != nil && (o.Subpath != "" || o.DriverConfig != nil && o.DriverConfig.Name != "" && o.DriverConfig.Name != "local") {
			return m, fault.NotImplemented("volume driver options and subpaths are not supported yet")
		}
	case mount.TypeTmpfs:
		if o := a.TmpfsOptions; o != nil {
			if o.SizeBytes > 0 {
				m.Options = append(m.Options, fmt.Sprintf("size=%d", o.SizeBytes))
			}
			if o.Mode > 0 {
				m.Options = append(m.Options, fmt.Sprintf("mode=%o", o.Mode))
			}
		}
	default:
		return m, fault.NotImplemented("mount type %q is not supported", a.Type)
	}
	return m, nil
}

// volumesFrom copies the mounts of other containers: CONTAINER[:ro|rw].
func (e *Engine) volumesFrom(list []string, add func(MountPoint, bool) error) error {
	for _, spec := range list {
		ref, mode, _ := strings.Cut(spec, ":")
		other, err := e.Get(ref)
		if err != nil {
			return err
		}
		for _, m := range other.View().Mounts {
			m.ReadOnly = m.ReadOnly || mode == "ro"
			if err := add(m, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// provide makes sure that the source exists: a volume is created, and so is a directory for -v (but not for --mount).
func (e *Engine) provide(m *MountPoint, create bool) error {
	switch {
	case m.Type == mount.TypeVolume && m.Source == "":
		v, err := e.Volumes.Create(volumes.Volume{Name: m.Name})
		if err != nil {
			return err
		}
		m.Name, m.Source = v.Name, e.Volumes.Path(v.Name)
	case m.Type == mount.TypeBind:
		_, err := os.Stat(m.Source)
		if errors.Is(err, fs.ErrNotExist) && create {
			err = os.MkdirAll(m.Source, 0o755)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return fault.Invalid("invalid mount config for type %q: bind source path does not exist: %s", m.Type, m.Source)
		}
		return err
	}
	return nil
}

// ociMounts are the mounts for config.json: the user's, and the three files we make.
func (c *Container) ociMounts(rec Record) []ociconfig.Mount {
	var out []ociconfig.Mount
	taken := map[string]bool{}
	for _, m := range rec.Mounts {
		taken[m.Destination] = true
		kind := ociconfig.Bind
		if m.Type == mount.TypeTmpfs {
			kind = ociconfig.Tmpfs
		}
		out = append(out, ociconfig.Mount{
			Kind: kind, Source: m.Source, Destination: m.Destination, ReadOnly: m.ReadOnly,
			Propagation: string(m.Propagation), NonRecursive: m.NonRecursive, Options: m.Options,
		})
	}
	for _, f := range []struct{ from, to string }{
		{c.file("resolv.conf"), "/etc/resolv.conf"}, {c.file("hostname"), "/etc/hostname"}, {c.file("hosts"), "/etc/hosts"},
	} {
		if !taken[f.to] {
			out = append(out, ociconfig.Mount{Kind: ociconfig.Bind, Source: f.from, Destination: f.to, ReadOnly: rec.HostConfig.ReadonlyRootfs})
		}
	}
	return out
}

func (c *Container) file(name string) string { return path.Join(c.Dir, name) }
