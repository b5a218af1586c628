package ociconfig

import (
	"path"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// DefaultPath is the PATH of a container whose image sets none.
const DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// InitDestination is where the init program stands inside the container.
const InitDestination = "/sbin/docker-init"

func (k *compiler) process() error {
	cfg, hc := k.c.Config, k.c.HostConfig
	args := append(append([]string{}, cfg.Entrypoint...), cfg.Cmd...)
	if k.c.InitPath != "" {
		args = append([]string{InitDestination, "--"}, args...)
	}
	oom := hc.OomScoreAdj
	*k.spec.Process = specs.Process{
		Terminal: cfg.Tty,
		Args:     args,
		Cwd:      path.Join("/", cfg.WorkingDir),
		Env:      Environment(cfg.Env, k.c.Hostname, k.c.User.Home, cfg.Tty),
		User: specs.User{
			UID: k.c.User.UID, GID: k.c.User.GID, AdditionalGids: k.c.User.Additional, Umask: hc.Umask,
		},
		OOMScoreAdj: &oom,
	}
	if h, w := hc.ConsoleSize[0], hc.ConsoleSize[1]; cfg.Tty && h > 0 && w > 0 {
		k.spec.Process.ConsoleSize = &specs.Box{Height: h, Width: w}
	}
	for _, u := range hc.Ulimits {
		k.spec.Process.Rlimits = append(k.spec.Process.Rlimits, specs.POSIXRlimit{
			Type: "RLIMIT_" + strings.ToUpper(u.Name), Hard: uint64(u.Hard), Soft: uint64(u.Soft),
		})
	}
	return nil
}

// Environment is Docker's: PATH, HOSTNAME and TERM, then the container's own, then HOME when nobody set it.
// An entry without "=" removes the variable.
func Environment(own []string, hostname, home string, tty bool) []string {
	env := []string{"PATH=" + DefaultPath, "HOSTNAME=" + hostname}
	if tty {
		env = append(env, "TERM=xterm")
	}
	env = MergeEnv(env, own)
	for _, e := range env {
		if strings.HasPrefix(e, "HOME=") {
			return env
		}
	}
	if home == "" {
		home = "/"
	}
	return append(env, "HOME="+home)
}

// MergeEnv lays changes over base: same names are replaced in place, new ones appended.
func MergeEnv(base, changes []string) []string {
	out := append([]string{}, base...)
	for _, change := range changes {
		name, _, set := strings.Cut(change, "=")
		at := -1
		for i, e := range out {
			if n, _, _ := strings.Cut(e, "="); n == name {
				at = i
				break
			}
		}
		switch {
		case at >= 0 && set:
			out[at] = change
		case at >= 0:
			out = append(out[:at], out[at+1:]...)
		case set:
			out = append(out, change)
		}
	}
	return out
}
