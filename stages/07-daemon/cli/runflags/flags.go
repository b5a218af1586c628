// Package runflags turns the flags of `run` and `create` into the three objects of a create request. It is pure: what it reads
// from the world (files of variables and profiles, the environment) comes through Sources, so every rule is a table row.
package runflags

import (
	"time"

	"github.com/spf13/pflag"
)

// Flags are the flags that describe a container. Each file of this package compiles one subject of them.
type Flags struct {
	// identity and process (process.go)
	Name, Hostname, Domainname, User, Workdir, Entrypoint string
	Env, EnvFile, Labels, LabelFile, Annotations          []string
	Attach                                                []string
	Interactive, TTY, Detach, Remove, Init                bool
	StopSignal                                            string
	StopTimeout                                           int
	Restart, Runtime, Platform, CIDFile, Isolation        string
	LogDriver                                             string
	LogOpts                                               []string

	// limits (limits.go)
	Memory, MemoryReservation, MemorySwap, KernelMemory, ShmSize string
	MemorySwappiness                                             int64
	CPUs, CpusetCpus, CpusetMems                                 string
	CPUShares, CPUPeriod, CPUQuota, CPURtPeriod, CPURtRuntime    int64
	PidsLimit                                                    int64
	OOMKillDisable                                               bool
	OOMScoreAdj                                                  int
	BlkioWeight                                                  uint16
	BlkioWeightDevice                                            []string
	DeviceReadBps, DeviceWriteBps                                []string
	DeviceReadIOps, DeviceWriteIOps                              []string
	Ulimits                                                      []string
	CgroupParent                                                 string

	// file system (mounts.go)
	Volumes, VolumesFrom, Mounts, Tmpfs, StorageOpt []string
	VolumeDriver                                    string
	ReadOnly                                        bool

	// network (network.go, ports.go)
	Publish, Expose                              []string
	PublishAll                                   bool
	Networks, NetworkAlias, Links, LinkLocalIPs  []string
	IP, IP6, MacAddress                          string
	DNS, DNSOptions, DNSSearch, AddHost, Sysctls []string

	// isolation (security.go)
	CapAdd, CapDrop, SecurityOpt, GroupAdd, Devices, DeviceCgroupRules []string
	Privileged                                                         bool
	PID, IPC, UTS, Userns, Cgroupns                                    string

	// health (health.go)
	HealthCmd                                                             string
	HealthInterval, HealthTimeout, HealthStartPeriod, HealthStartInterval time.Duration
	HealthRetries                                                         int
	NoHealthcheck                                                         bool

	changed func(string) bool // whether the user gave a flag, whatever its value
}

// Bind declares the flags with Docker's names, letters, defaults and help.
func (f *Flags) Bind(fs *pflag.FlagSet) {
	f.changed = fs.Changed
	f.bindProcess(fs)
	f.bindLimits(fs)
	f.bindMounts(fs)
	f.bindNetwork(fs)
	f.bindSecurity(fs)
	f.bindHealth(fs)
}

func (f *Flags) bindProcess(fs *pflag.FlagSet) {
	fs.StringVar(&f.Name, "name", "", "Assign a name to the container")
	fs.StringVarP(&f.Hostname, "hostname", "h", "", "Container host name")
	fs.StringVar(&f.Domainname, "domainname", "", "Container NIS domain name")
	fs.StringVarP(&f.User, "user", "u", "", "Username or UID (format: <name|uid>[:<group|gid>])")
	fs.StringVarP(&f.Workdir, "workdir", "w", "", "Working directory inside the container")
	fs.StringVar(&f.Entrypoint, "entrypoint", "", "Overwrite the default ENTRYPOINT of the image")
	fs.VarP(list(&f.Env), "env", "e", "Set environment variables")
	fs.Var(list(&f.EnvFile), "env-file", "Read in a file of environment variables")
	fs.VarP(list(&f.Labels), "label", "l", "Set meta data on a container")
	fs.Var(list(&f.LabelFile), "label-file", "Read in a line delimited file of labels")
	fs.Var(list(&f.Annotations), "annotation", "Add an annotation to the container (passed through to the OCI runtime)")
	fs.VarP(list(&f.Attach), "attach", "a", "Attach to STDIN, STDOUT or STDERR")
	fs.BoolVarP(&f.Interactive, "interactive", "i", false, "Keep STDIN open even if not attached")
	fs.BoolVarP(&f.TTY, "tty", "t", false, "Allocate a pseudo-TTY")
	fs.BoolVar(&f.Remove, "rm", false, "Automatically remove the container and its associated anonymous volumes when it exits")
	fs.BoolVar(&f.Init, "init", false, "Run an init inside the container that forwards signals and reaps processes")
	fs.StringVar(&f.StopSignal, "stop-signal", "", "Signal to stop the container")
	fs.IntVar(&f.StopTimeout, "stop-timeout", 0, "Timeout (in seconds) to stop a container")
	fs.StringVar(&f.Restart, "restart", "no", "Restart policy to apply when a container exits")
	fs.StringVar(&f.Runtime, "runtime", "", "Runtime to use for this container")
	fs.StringVar(&f.Isolation, "isolation", "", "Container isolation technology")
	fs.StringVar(&f.Platform, "platform", "", "Set platform if server is multi-platform capable")
	fs.StringVar(&f.CIDFile, "cidfile", "", "Write the container ID to the file")
	fs.StringVar(&f.LogDriver, "log-driver", "", "Logging driver for the container")
	fs.Var(list(&f.LogOpts), "log-opt", "Log driver options")
}

func (f *Flags) bindLimits(fs *pflag.FlagSet) {
	fs.VarP(sizeFlag(&f.Memory), "memory", "m", "Memory limit")
	fs.Var(sizeFlag(&f.MemoryReservation), "memory-reservation", "Memory soft limit")
	fs.Var(sizeFlag(&f.MemorySwap), "memory-swap", "Swap limit equal to memory plus swap: '-1' to enable unlimited swap")
	fs.Int64Var(&f.MemorySwappiness, "memory-swappiness", -1, "Tune container memory swappiness (0 to 100)")
	fs.Var(sizeFlag(&f.KernelMemory), "kernel-memory", "Kernel memory limit")
	fs.Var(sizeFlag(&f.ShmSize), "shm-size", "Size of /dev/shm")
	fs.StringVar(&f.CPUs, "cpus", "", "Number of CPUs")
	fs.Int64VarP(&f.CPUShares, "cpu-shares", "c", 0, "CPU shares (relative weight)")
	fs.Int64Var(&f.CPUPeriod, "cpu-period", 0, "Limit CPU CFS (Completely Fair Scheduler) period")
	fs.Int64Var(&f.CPUQuota, "cpu-quota", 0, "Limit CPU CFS (Completely Fair Scheduler) quota")
	fs.Int64Var(&f.CPURtPeriod, "cpu-rt-period", 0, "Limit CPU real-time period in microseconds")
	fs.Int64Var(&f.CPURtRuntime, "cpu-rt-runtime", 0, "Limit CPU real-time runtime in microseconds")
	fs.StringVar(&f.CpusetCpus, "cpuset-cpus", "", "CPUs in which to allow execution (0-3, 0,1)")
	fs.StringVar(&f.CpusetMems, "cpuset-mems", "", "MEMs in which to allow execution (0-3, 0,1)")
	fs.Int64Var(&f.PidsLimit, "pids-limit", 0, "Tune container pids limit (set -1 for unlimited)")
	fs.BoolVar(&f.OOMKillDisable, "oom-kill-disable", false, "Disable OOM Killer")
	fs.IntVar(&f.OOMScoreAdj, "oom-score-adj", 0, "Tune host's OOM preferences (-1000 to 1000)")
	fs.Uint16Var(&f.BlkioWeight, "blkio-weight", 0, "Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)")
	fs.Var(list(&f.BlkioWeightDevice), "blkio-weight-device", "Block IO weight (relative device weight)")
	fs.Var(list(&f.DeviceReadBps), "device-read-bps", "Limit read rate (bytes per second) from a device")
	fs.Var(list(&f.DeviceWriteBps), "device-write-bps", "Limit write rate (bytes per second) to a device")
	fs.Var(list(&f.DeviceReadIOps), "device-read-iops", "Limit read rate (IO per second) from a device")
	fs.Var(list(&f.DeviceWriteIOps), "device-write-iops", "Limit write rate (IO per second) to a device")
	fs.Var(list(&f.Ulimits), "ulimit", "Ulimit options")
	fs.StringVar(&f.CgroupParent, "cgroup-parent", "", "Optional parent cgroup for the container")
}

func (f *Flags) bindMounts(fs *pflag.FlagSet) {
	fs.VarP(list(&f.Volumes), "volume", "v", "Bind mount a volume")
	fs.Var(list(&f.VolumesFrom), "volumes-from", "Mount volumes from the specified container(s)")
	fs.Var(list(&f.Mounts), "mount", "Attach a filesystem mount to the container")
	fs.Var(list(&f.Tmpfs), "tmpfs", "Mount a tmpfs directory")
	fs.Var(list(&f.StorageOpt), "storage-opt", "Storage driver options for the container")
	fs.StringVar(&f.VolumeDriver, "volume-driver", "", "Optional volume driver for the container")
	fs.BoolVar(&f.ReadOnly, "read-only", false, "Mount the container's root filesystem as read only")
}

func (f *Flags) bindNetwork(fs *pflag.FlagSet) {
	fs.VarP(list(&f.Publish), "publish", "p", "Publish a container's port(s) to the host")
	fs.Var(list(&f.Expose), "expose", "Expose a port or a range of ports")
	fs.BoolVarP(&f.PublishAll, "publish-all", "P", false, "Publish all exposed ports to random ports")
	fs.Var(list(&f.Networks), "network", "Connect a container to a network")
	fs.Var(list(&f.Networks), "net", "Connect a container to a network")
	fs.Var(list(&f.NetworkAlias), "network-alias", "Add network-scoped alias for the container")
	fs.Var(list(&f.NetworkAlias), "net-alias", "Add network-scoped alias for the container")
	for _, old := range []string{"net", "net-alias"} {
		fs.Lookup(old).Hidden = true
	}
	fs.Var(list(&f.Links), "link", "Add link to another container")
	fs.Var(list(&f.LinkLocalIPs), "link-local-ip", "Container IPv4/IPv6 link-local addresses")
	fs.StringVar(&f.IP, "ip", "", "IPv4 address (e.g., 172.30.100.104)")
	fs.StringVar(&f.IP6, "ip6", "", "IPv6 address (e.g., 2001:db8::33)")
	fs.StringVar(&f.MacAddress, "mac-address", "", "Container MAC address (e.g., 92:d0:c6:0a:29:33)")
	fs.Var(list(&f.DNS), "dns", "Set custom DNS servers")
	fs.Var(list(&f.DNSOptions), "dns-option", "Set DNS options")
	fs.Var(list(&f.DNSSearch), "dns-search", "Set custom DNS search domains")
	fs.Var(list(&f.AddHost), "add-host", "Add a custom host-to-IP mapping (host:ip)")
	fs.Var(list(&f.Sysctls), "sysctl", "Sysctl options")
}

func (f *Flags) bindSecurity(fs *pflag.FlagSet) {
	fs.Var(list(&f.CapAdd), "cap-add", "Add Linux capabilities")
	fs.Var(list(&f.CapDrop), "cap-drop", "Drop Linux capabilities")
	fs.Var(list(&f.SecurityOpt), "security-opt", "Security Options")
	fs.Var(list(&f.GroupAdd), "group-add", "Add additional groups to join")
	fs.Var(list(&f.Devices), "device", "Add a host device to the container")
	fs.Var(list(&f.DeviceCgroupRules), "device-cgroup-rule", "Add a rule to the cgroup allowed devices list")
	fs.BoolVar(&f.Privileged, "privileged", false, "Give extended privileges to this container")
	fs.StringVar(&f.PID, "pid", "", "PID namespace to use")
	fs.StringVar(&f.IPC, "ipc", "", "IPC mode to use")
	fs.StringVar(&f.UTS, "uts", "", "UTS namespace to use")
	fs.StringVar(&f.Userns, "userns", "", "User namespace to use")
	fs.StringVar(&f.Cgroupns, "cgroupns", "", "Cgroup namespace to use (host|private)")
}

func (f *Flags) bindHealth(fs *pflag.FlagSet) {
	fs.StringVar(&f.HealthCmd, "health-cmd", "", "Command to run to check health")
	fs.DurationVar(&f.HealthInterval, "health-interval", 0, "Time between running the check (ms|s|m|h)")
	fs.DurationVar(&f.HealthTimeout, "health-timeout", 0, "Maximum time to allow one check to run (ms|s|m|h)")
	fs.DurationVar(&f.HealthStartPeriod, "health-start-period", 0, "Start period for the container to initialize before starting health-retries countdown (ms|s|m|h)")
	fs.DurationVar(&f.HealthStartInterval, "health-start-interval", 0, "Time between running the check during the start period (ms|s|m|h)")
	fs.IntVar(&f.HealthRetries, "health-retries", 0, "Consecutive failures needed to report unhealthy")
	fs.BoolVar(&f.NoHealthcheck, "no-healthcheck", false, "Disable any container-specified HEALTHCHECK")
}

// given tells whether the user wrote the flag; without a flag set, whether it has a value is all there is.
func (f *Flags) given(name string) bool { return f.changed != nil && f.changed(name) }
