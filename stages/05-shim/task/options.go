package task

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	runc "github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/api/types/runtimeoptions/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/slipway-engine/slipway/stages/05-shim/oci"
)

// Options are what Create's options say about the runtime.
type Options struct {
	Program       string
	Root          string
	SystemdCgroup bool
	NoPivot       bool
	NoNewKeyring  bool
	IoUID, IoGID  int
	ShimCgroup    string
	CRIUWorkPath  string // where a restore's log goes; "": the bundle, and away when all is well
}

// ParseOptions reads containerd.runc.v1.Options or runtimeoptions.v1.Options; nil means defaults.
func ParseOptions(any *anypb.Any) (Options, error) {
	if any == nil || len(any.Value) == 0 {
		return Options{}, nil
	}
	name := any.TypeUrl[strings.LastIndexByte(any.TypeUrl, '/')+1:]
	switch name {
	case "containerd.runc.v1.Options":
		var o runc.Options
		if err := proto.Unmarshal(any.Value, &o); err != nil {
			return Options{}, invalid("options %s: %v", name, err)
		}
		return fromRunc(&o), nil
	case "runtimeoptions.v1.Options":
		var o runtimeoptions.Options
		if err := proto.Unmarshal(any.Value, &o); err != nil {
			return Options{}, invalid("options %s: %v", name, err)
		}
		return fromGeneric(&o)
	}
	return Options{}, invalid("options of type %q: want containerd.runc.v1.Options or runtimeoptions.v1.Options", any.TypeUrl)
}

func fromRunc(o *runc.Options) Options {
	return Options{
		Program: o.BinaryName, Root: o.Root, SystemdCgroup: o.SystemdCgroup,
		NoPivot: o.NoPivotRoot, NoNewKeyring: o.NoNewKeyring,
		IoUID: int(o.IoUid), IoGID: int(o.IoGid), ShimCgroup: o.ShimCgroup, CRIUWorkPath: o.CriuWorkPath,
	}
}

// fromGeneric reads the options table of containerd's config.toml, which arrives as text or file:
// lines of `Name = value` with the names of runc's options.
func fromGeneric(o *runtimeoptions.Options) (Options, error) {
	text := o.ConfigBody
	if o.ConfigPath != "" {
		var err error
		if text, err = os.ReadFile(o.ConfigPath); err != nil {
			return Options{}, fmt.Errorf("read runtime options: %w", err)
		}
	}
	var r runc.Options
	for line := range strings.Lines(string(text)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(key, "#") {
			continue
		}
		value = strings.TrimSpace(value)
		if s, err := strconv.Unquote(value); err == nil {
			value = s
		}
		setOption(&r, strings.TrimSpace(key), value)
	}
	return fromRunc(&r), nil
}

func setOption(r *runc.Options, key, value string) {
	number, _ := strconv.ParseUint(value, 10, 32)
	switch key {
	case "BinaryName":
		r.BinaryName = value
	case "Root":
		r.Root = value
	case "SystemdCgroup":
		r.SystemdCgroup = value == "true"
	case "NoPivotRoot":
		r.NoPivotRoot = value == "true"
	case "NoNewKeyring":
		r.NoNewKeyring = value == "true"
	case "ShimCgroup":
		r.ShimCgroup = value
	case "CriuWorkPath":
		r.CriuWorkPath = value
	case "IoUid":
		r.IoUid = uint32(number)
	case "IoGid":
		r.IoGid = uint32(number)
	}
}

// Launch is how a container was made: what is needed to take it away when this shim is dead. It
// lies in the bundle as shim.json.
type Launch struct {
	Program       string `json:"program"`
	Root          string `json:"root"`
	SystemdCgroup bool   `json:"systemd_cgroup,omitempty"`
	Mounted       bool   `json:"mounted,omitempty"` // bundle/rootfs was mounted by the shim
}

const launchFile = "shim.json"

// fill adds defaults. Containers of different namespaces may have the same id, so each has a root.
func (l *Launch) fill(c Config) {
	if l.Program == "" {
		l.Program = c.Runtime
	}
	if l.Root == "" {
		l.Root = c.Root
	}
	l.Root = filepath.Join(l.Root, c.Namespace)
}

func (l *Launch) runtime(c Config) *oci.Runtime {
	return &oci.Runtime{
		Program: l.Program, Root: l.Root, SystemdCgroup: l.SystemdCgroup, Debug: c.Debug, Reaper: c.Reaper,
		OffPath: filepath.Base(l.Program) == "slipway-runtime",
	}
}

func (l *Launch) write(bundle string) error {
	data, err := json.Marshal(l)
	if err == nil {
		err = os.WriteFile(filepath.Join(bundle, launchFile), append(data, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("record how the container is made: %w", err)
	}
	return nil
}

func readLaunch(bundle string) (*Launch, error) {
	data, err := os.ReadFile(filepath.Join(bundle, launchFile))
	if err != nil {
		return nil, err
	}
	var l Launch
	if err := json.Unmarshal(data, &l); err != nil {
		return nil, fmt.Errorf("read %s: %w", launchFile, err)
	}
	return &l, nil
}
