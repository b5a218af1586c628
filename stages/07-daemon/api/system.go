package api

import (
	"bufio"
	"bytes"
	"cmp"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/api/types/system"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
)

// About is what the engine says of itself.
type About struct {
	Version, Commit, BuildTime string
	ManagerVersion             string
	ID                         string // stable for this data root
	DataRoot                   string
	Hostname                   string
	Snapshotter                string
	CgroupV2                   bool
	LiveRestore                bool
	Debug                      bool
}

func (s *Server) ping(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Builder-Version", "1")
	h.Set("Swarm", "inactive")
	h.Set("Cache-Control", "no-cache, no-store, must-revalidate")
	h.Set("Pragma", "no-cache")
	h.Set("Content-Type", "text/plain; charset=utf-8")
	if r.Method == http.MethodHead {
		h.Set("Content-Length", "0")
		w.WriteHeader(http.StatusOK)
		return nil
	}
	_, err := w.Write([]byte("OK"))
	return err
}

func (s *Server) version(w http.ResponseWriter, _ *http.Request) error {
	a := s.About
	kernel := kernelRelease()
	return writeJSON(w, http.StatusOK, system.VersionResponse{
		Platform: system.PlatformInfo{Name: "Slipway Engine"},
		Version:  a.Version, APIVersion: MaxVersion.String(), MinAPIVersion: MinVersion.String(),
		Os: "linux", Arch: runtime.GOARCH, GitCommit: a.Commit, GoVersion: runtime.Version(),
		KernelVersion: kernel, BuildTime: a.BuildTime,
		Components: []system.ComponentVersion{
			{Name: "Engine", Version: a.Version, Details: map[string]string{
				"ApiVersion": MaxVersion.String(), "MinAPIVersion": MinVersion.String(), "Arch": runtime.GOARCH, "Os": "linux",
				"BuildTime": a.BuildTime, "Experimental": "false", "GitCommit": a.Commit, "GoVersion": runtime.Version(),
				"KernelVersion": kernel,
			}},
			{Name: "manager", Version: a.ManagerVersion, Details: map[string]string{"GitCommit": ""}},
		},
	})
}

func kernelRelease() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

func (s *Server) info(w http.ResponseWriter, r *http.Request) error {
	a := s.About
	info := system.Info{
		ID: a.ID, Driver: a.Snapshotter, DriverStatus: [][2]string{{"driver-type", "io.containerd.snapshotter.v1"}},
		Plugins: system.PluginsInfo{
			Volume: []string{"local"}, Network: []string{"bridge", "host", "null"}, Log: []string{"json-file", "none"},
		},
		MemoryLimit: true, SwapLimit: true, CPUCfsPeriod: true, CPUCfsQuota: true, CPUShares: true, CPUSet: true, PidsLimit: true,
		IPv4Forwarding: readFirst("/proc/sys/net/ipv4/ip_forward") == "1", Debug: a.Debug, NFd: openFiles(),
		NGoroutines: runtime.NumGoroutine(), SystemTime: time.Now().Format(time.RFC3339Nano), LoggingDriver: "json-file",
		CgroupDriver: "cgroupfs", CgroupVersion: "1", NEventsListener: s.Engine.Events.Listeners(),
		KernelVersion: kernelRelease(), OperatingSystem: osName(), OSType: "linux", Architecture: machine(),
		IndexServerAddress: "https://index.docker.io/v1/", RegistryConfig: &registry.ServiceConfig{},
		NCPU: runtime.NumCPU(), MemTotal: memTotal(), DockerRootDir: a.DataRoot, Name: a.Hostname,
		Labels: []string{}, ServerVersion: a.Version, DefaultRuntime: s.Engine.DefaultRuntime,
		Runtimes: map[string]system.RuntimeWithStatus{},
		Swarm:    swarm.Info{LocalNodeState: swarm.LocalNodeStateInactive}, LiveRestoreEnabled: a.LiveRestore,
		InitBinary: "slipway-init", SecurityOptions: []string{"name=seccomp,profile=builtin"}, Warnings: []string{},
	}
	if a.CgroupV2 {
		info.CgroupVersion = "2"
		info.SecurityOptions = append(info.SecurityOptions, "name=cgroupns")
	}
	for name, path := range s.Engine.Runtimes {
		rt := system.RuntimeWithStatus{}
		rt.Path = path
		info.Runtimes[name] = rt
	}
	for _, c := range s.Engine.All() {
		info.Containers++
		switch c.View().Status {
		case container.StateRunning, container.StateRestarting:
			info.ContainersRunning++
		case container.StatePaused:
			info.ContainersPaused++
		default:
			info.ContainersStopped++
		}
	}
	all, err := s.Images.List(r.Context())
	if err != nil {
		info.Warnings = append(info.Warnings, "images: "+err.Error())
	}
	info.Images = len(all)
	return writeJSON(w, http.StatusOK, info)
}

func readFirst(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

func openFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(entries)
}

func osName() string {
	data, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "Linux"
	}
	for scan := bufio.NewScanner(bytes.NewReader(data)); scan.Scan(); {
		if v, ok := strings.CutPrefix(scan.Text(), "PRETTY_NAME="); ok {
			return strings.Trim(v, `"`)
		}
	}
	return "Linux"
}

func machine() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return runtime.GOARCH
	}
	return unix.ByteSliceToString(u.Machine[:])
}

func memTotal() int64 {
	var si unix.Sysinfo_t
	if err := unix.Sysinfo(&si); err != nil {
		return 0
	}
	return int64(si.Totalram) * int64(cmp.Or(si.Unit, 1))
}

// auth checks nothing: credentials are tried where they are used, at the pull.
func (s *Server) auth(w http.ResponseWriter, r *http.Request) error {
	var a registry.AuthConfig
	if err := readJSON(r, &a, false); err != nil {
		return err
	}
	return fault.NotImplemented("docker login is not served by this engine yet")
}

func (s *Server) jobs(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, s.Engine.Jobs.List())
}

func (s *Server) plugins(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, []struct{}{})
}

func (s *Server) noPlugin(_ http.ResponseWriter, r *http.Request) error {
	return fault.NotFound("plugin %q not found", r.PathValue("name"))
}

func notServed(why string) handler {
	return func(http.ResponseWriter, *http.Request) error { return fault.NotImplemented("%s", why) }
}

func notSwarm(http.ResponseWriter, *http.Request) error {
	return fault.Unavailable(`This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.`)
}

func (s *Server) buildPrune(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, map[string]any{"CachesDeleted": []string{}, "SpaceReclaimed": 0})
}
