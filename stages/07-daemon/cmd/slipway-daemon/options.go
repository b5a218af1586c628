package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// options are dockerd's flags, as far as they mean something here. The names are dockerd's.
type options struct {
	Hosts          []string
	DataRoot       string
	ExecRoot       string
	Runtimes       []string // NAME=PATH
	DefaultRuntime string
	LiveRestore    bool
	Containerd     string
	Manager        string // program
	Debug          bool
	ConfigFile     string
	Pidfile        string
	Bridge         string
	BIP            string
	MTU            int
	DNS            []string
	InitPath       string
	ProxyPath      string
	UserlandProxy  bool
	ClassicStdio   bool
	Group          string
	LogLevel       string
	Snapshotter    string
	Version        bool
}

func (o *options) bind(f *pflag.FlagSet) {
	f.StringArrayVarP(&o.Hosts, "host", "H", nil, "Daemon socket(s) to listen on (default unix:///run/slipway/slipway.sock)")
	f.StringVar(&o.DataRoot, "data-root", "/var/lib/slipway/daemon", "Root directory of persistent state")
	f.StringVar(&o.ExecRoot, "exec-root", "/run/slipway/daemon", "Root directory for execution state files")
	f.StringArrayVar(&o.Runtimes, "add-runtime", nil, "Register an additional OCI compatible runtime (NAME=PATH)")
	f.StringVar(&o.DefaultRuntime, "default-runtime", "slipway", "Default OCI runtime for containers")
	f.BoolVar(&o.LiveRestore, "live-restore", true, "Containers go on while the daemon is away")
	f.StringVar(&o.Containerd, "containerd", "", "Socket of the manager or containerd to use (default: one of our own is started)")
	f.StringVar(&o.Manager, "manager-path", beside("slipway-manager"), "Program of the manager that is started")
	f.BoolVarP(&o.Debug, "debug", "D", false, "Enable debug mode")
	f.StringVar(&o.ConfigFile, "config-file", "/etc/slipway/daemon.json", "Daemon configuration file")
	f.StringVarP(&o.Pidfile, "pidfile", "p", "", "Path to use for daemon PID file (default EXEC-ROOT/daemon.pid)")
	f.StringVarP(&o.Bridge, "bridge", "b", "", "Name of the bridge (default slipway0)")
	f.StringVar(&o.BIP, "bip", "", "Specify network bridge IP, as ADDRESS/LENGTH")
	f.IntVar(&o.MTU, "mtu", 0, "Set the containers network MTU")
	f.StringArrayVar(&o.DNS, "dns", nil, "DNS server to use")
	f.StringVar(&o.InitPath, "init-path", beside("slipway-init"), "Path to the init program for --init")
	f.StringVar(&o.ProxyPath, "userland-proxy-path", beside("slipway-proxy"), "Path to the userland proxy binary")
	f.BoolVar(&o.UserlandProxy, "userland-proxy", true, "Use the userland proxy for loopback traffic")
	f.BoolVar(&o.ClassicStdio, "classic-stdio", false, "The shims know plain pipes only: write the logs here (for --containerd)")
	f.StringVarP(&o.Group, "group", "G", "slipway", "Group for the unix socket")
	f.StringVarP(&o.LogLevel, "log-level", "l", "info", "Set the logging level (debug, info, warn, error)")
	f.StringVar(&o.Snapshotter, "storage-driver", "overlayfs", "Snapshotter to use")
	f.BoolVarP(&o.Version, "version", "v", false, "Print version information and quit")
}

// beside is the path of a program that was installed together with this one.
func beside(name string) string {
	self, err := os.Executable()
	if err != nil {
		return name
	}
	return filepath.Join(filepath.Dir(self), name)
}

// readConfigFile lays daemon.json under the flags. A key that is also given as a flag is an error, as in dockerd:
// nobody should have to guess which one counts.
func (o *options) readConfigFile(f *pflag.FlagSet) error {
	data, err := os.ReadFile(o.ConfigFile)
	if errors.Is(err, fs.ErrNotExist) && !f.Changed("config-file") {
		return nil
	}
	if err != nil {
		return fmt.Errorf("configuration file: %w", err)
	}
	if len(data) == 0 {
		return nil
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		return fmt.Errorf("configuration file %s: %w", o.ConfigFile, err)
	}
	var conflicts []string
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		name, ok := fileKeys()[key]
		if !ok {
			return fmt.Errorf("configuration file %s: the following directives don't match any configuration option: %s", o.ConfigFile, key)
		}
		if f.Changed(name) {
			conflicts = append(conflicts, key)
			continue
		}
		values, err := flagValues(key, keys[key])
		if err != nil {
			return fmt.Errorf("configuration file %s: %s: %w", o.ConfigFile, key, err)
		}
		for _, v := range values {
			if err := f.Set(name, v); err != nil {
				return fmt.Errorf("configuration file %s: %s: %w", o.ConfigFile, key, err)
			}
		}
	}
	if len(conflicts) > 0 {
		return fmt.Errorf("the following directives are specified both as a flag and in the configuration file: %s", strings.Join(conflicts, ", "))
	}
	return nil
}

// fileKeys maps daemon.json's keys to flags.
func fileKeys() map[string]string {
	return map[string]string{
		"hosts": "host", "data-root": "data-root", "exec-root": "exec-root", "runtimes": "add-runtime",
		"default-runtime": "default-runtime", "live-restore": "live-restore", "containerd": "containerd", "debug": "debug",
		"pidfile": "pidfile", "bridge": "bridge", "bip": "bip", "mtu": "mtu", "dns": "dns", "init-path": "init-path",
		"userland-proxy": "userland-proxy", "userland-proxy-path": "userland-proxy-path", "group": "group",
		"log-level": "log-level", "storage-driver": "storage-driver",
	}
}

// flagValues turns a JSON value into the words one would give to the flag.
func flagValues(key string, raw json.RawMessage) ([]string, error) {
	if key == "runtimes" {
		var runtimes map[string]struct {
			Path string `json:"path"`
		}
		if err := json.Unmarshal(raw, &runtimes); err != nil {
			return nil, err
		}
		var out []string
		for _, name := range slices.Sorted(maps.Keys(runtimes)) {
			out = append(out, name+"="+runtimes[name].Path)
		}
		return out, nil
	}
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		return list, nil
	}
	var one any
	if err := json.Unmarshal(raw, &one); err != nil {
		return nil, err
	}
	return []string{fmt.Sprint(one)}, nil
}

// runtimes are ours and the registered ones.
func (o *options) runtimes() (map[string]string, error) {
	out := map[string]string{"slipway": beside("slipway-runtime"), "io.containerd.runc.v2": beside("slipway-runtime")}
	for _, text := range o.Runtimes {
		name, path, ok := strings.Cut(text, "=")
		if !ok || name == "" || path == "" {
			return nil, fmt.Errorf("--add-runtime %q: want NAME=PATH", text)
		}
		out[name] = path
	}
	if _, ok := out[o.DefaultRuntime]; !ok {
		return nil, fmt.Errorf("specified default runtime '%s' does not exist", o.DefaultRuntime)
	}
	return out, nil
}

func (o *options) level() slog.Level {
	if o.Debug {
		return slog.LevelDebug
	}
	var l slog.Level
	if err := l.UnmarshalText([]byte(o.LogLevel)); err != nil {
		return slog.LevelInfo
	}
	return l
}
