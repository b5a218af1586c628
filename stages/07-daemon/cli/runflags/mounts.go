package runflags

import (
	"encoding/csv"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/mount"
)

// mounts compiles -v, --mount, --tmpfs, --volumes-from and --read-only.
func (f *Flags) mounts(r *Request, from Sources) error {
	h := r.HostConfig
	for _, text := range f.Volumes {
		if err := volume(r, text, from); err != nil {
			return err
		}
	}
	for _, text := range f.Mounts {
		m, err := parseMount(text, from)
		if err != nil {
			return FlagError{text, "mount", err}
		}
		h.Mounts = append(h.Mounts, m)
	}
	for _, text := range f.Tmpfs {
		target, options, _ := strings.Cut(text, ":")
		if h.Tmpfs == nil {
			h.Tmpfs = map[string]string{}
		}
		h.Tmpfs[target] = options
	}
	h.VolumesFrom, h.VolumeDriver, h.ReadonlyRootfs = f.VolumesFrom, f.VolumeDriver, f.ReadOnly
	var err error
	h.StorageOpt, err = strictPairs("storage-opt", f.StorageOpt)
	return err
}

// volume reads one -v: `/path` alone is an anonymous volume, otherwise SOURCE:TARGET[:OPTIONS] is a bind for the daemon to read.
func volume(r *Request, text string, from Sources) error {
	source, rest, bound := strings.Cut(text, ":")
	if !bound {
		if r.Config.Volumes == nil {
			r.Config.Volumes = map[string]struct{}{}
		}
		r.Config.Volumes[path.Clean(text)] = struct{}{}
		return nil
	}
	if source == "" || rest == "" {
		return fmt.Errorf("invalid spec: %s: empty section between colons", text)
	}
	if strings.HasPrefix(source, ".") {
		abs, err := from.Abs(source)
		if err != nil {
			return fmt.Errorf("invalid volume specification: '%s': %w", text, err)
		}
		text = abs + ":" + rest
	}
	r.HostConfig.Binds = append(r.HostConfig.Binds, text)
	return nil
}

// parseMount reads --mount: comma separated key=value fields, quoted as CSV.
func parseMount(text string, from Sources) (mount.Mount, error) {
	m := mount.Mount{Type: mount.TypeVolume}
	fields, err := csv.NewReader(strings.NewReader(text)).Read()
	if err != nil {
		return m, err
	}
	for _, field := range fields {
		key, value, given := strings.Cut(field, "=")
		if err := mountField(&m, strings.ToLower(strings.TrimSpace(key)), value, given); err != nil {
			return m, err
		}
	}
	if m.Target == "" {
		return m, fmt.Errorf("target is required")
	}
	if strings.HasPrefix(m.Source, ".") && m.Type == mount.TypeBind {
		if m.Source, err = from.Abs(m.Source); err != nil {
			return m, err
		}
	}
	return m, mountFits(m)
}

func mountField(m *mount.Mount, key, value string, given bool) error {
	yes := true
	if given {
		if parsed, err := strconv.ParseBool(value); err == nil {
			yes = parsed
		} else if isMountSwitch(key) {
			return fmt.Errorf("invalid value for %s: %s", key, value)
		}
	} else if !isMountSwitch(key) {
		return fmt.Errorf("invalid field '%s' must be a key=value pair", key)
	}
	switch key {
	case "type":
		m.Type = mount.Type(strings.ToLower(value))
	case "source", "src":
		m.Source = value
	case "target", "dst", "destination":
		m.Target = value
	case "readonly", "ro":
		m.ReadOnly = yes
	case "consistency":
		m.Consistency = mount.Consistency(strings.ToLower(value))
	case "bind-propagation":
		bindOf(m).Propagation = mount.Propagation(strings.ToLower(value))
	case "bind-nonrecursive":
		bindOf(m).NonRecursive = yes
	case "bind-create-src":
		bindOf(m).CreateMountpoint = yes
	case "bind-recursive":
		return bindRecursive(m, value)
	case "volume-nocopy":
		volumeOf(m).NoCopy = yes
	case "volume-subpath":
		volumeOf(m).Subpath = value
	case "volume-label":
		volumeOf(m).Labels = add(volumeOf(m).Labels, value)
	case "volume-driver":
		driverOf(m).Name = value
	case "volume-opt":
		driverOf(m).Options = add(driverOf(m).Options, value)
	case "image-subpath":
		m.ImageOptions = &mount.ImageOptions{Subpath: value}
	case "tmpfs-size":
		n, err := units.RAMInBytes(value)
		if err != nil {
			return fmt.Errorf("invalid value for %s: %s", key, value)
		}
		tmpfsOf(m).SizeBytes = n
	case "tmpfs-mode":
		n, err := strconv.ParseUint(value, 8, 32)
		if err != nil {
			return fmt.Errorf("invalid value for %s: %s", key, value)
		}
		tmpfsOf(m).Mode = os.FileMode(n)
	default:
		return fmt.Errorf("unexpected key '%s' in '%s=%s'", key, key, value)
	}
	return nil
}

func isMountSwitch(key string) bool {
	switch key {
	case "readonly", "ro", "bind-nonrecursive", "bind-create-src", "volume-nocopy":
		return true
	}
	return false
}

func bindRecursive(m *mount.Mount, value string) error {
	switch value {
	case "enabled":
	case "disabled":
		bindOf(m).NonRecursive = true
	case "writable":
		bindOf(m).ReadOnlyNonRecursive = true
	case "readonly":
		bindOf(m).ReadOnlyForceRecursive = true
	default:
		return fmt.Errorf("invalid value for bind-recursive: %s (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")", value)
	}
	return nil
}

func bindOf(m *mount.Mount) *mount.BindOptions {
	if m.BindOptions == nil {
		m.BindOptions = &mount.BindOptions{}
	}
	return m.BindOptions
}

func volumeOf(m *mount.Mount) *mount.VolumeOptions {
	if m.VolumeOptions == nil {
		m.VolumeOptions = &mount.VolumeOptions{}
	}
	return m.VolumeOptions
}

func driverOf(m *mount.Mount) *mount.Driver {
	v := volumeOf(m)
	if v.DriverConfig == nil {
		v.DriverConfig = &mount.Driver{}
	}
	return v.DriverConfig
}

func tmpfsOf(m *mount.Mount) *mount.TmpfsOptions {
	if m.TmpfsOptions == nil {
		m.TmpfsOptions = &mount.TmpfsOptions{}
	}
	return m.TmpfsOptions
}

func add(all map[string]string, word string) map[string]string {
	if all == nil {
		all = map[string]string{}
	}
	key, value, _ := strings.Cut(word, "=")
	all[key] = value
	return all
}

// mountFits refuses options of another type.
func mountFits(m mount.Mount) error {
	for _, options := range []struct {
		given bool
		kind  mount.Type
		name  string
	}{
		{m.VolumeOptions != nil, mount.TypeVolume, "volume"},
		{m.BindOptions != nil, mount.TypeBind, "bind"},
		{m.TmpfsOptions != nil, mount.TypeTmpfs, "tmpfs"},
	} {
		if options.given && m.Type != options.kind {
			return fmt.Errorf("cannot mix '%s-*' options with mount type '%s'", options.name, m.Type)
		}
	}
	return nil
}
