package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/slipway-engine/slipway/stages/01-namespaces/isolate"
	"github.com/slipway-engine/slipway/stages/01-namespaces/launch/inherited"
	"github.com/slipway-engine/slipway/stages/01-namespaces/namespace"
)

// kindFlag is --pid or --pid=FILE.
type kindFlag struct {
	set  bool
	file string
}

func (k *kindFlag) String() string { return k.file }
func (k *kindFlag) Type() string   { return "file" }

func (k *kindFlag) Set(v string) error {
	k.set = true
	if v != "yes" {
		k.file = v
	}
	return nil
}

// request turns flags into what the planner takes.
func (o isolateOptions) request(args []string) (isolate.Request, error) {
	r := isolate.Request{
		MapRoot: o.mapRoot && !o.mapAuto, MountProc: o.mountProc, Hostname: o.hostname, Dir: o.dir, Clock: o.clock,
		Propagation: o.propagation, Root: o.root, SetGroups: o.setgroups,
		Ordinary: os.Geteuid() != 0, Argv: args, Env: os.Environ(), Nofile: [2]uint64{inherited.Nofile.Cur, inherited.Nofile.Max},
	}
	if len(args) == 0 {
		r.Argv = []string{shell()}
	}
	var err error
	if r.Maps, err = o.maps(); err != nil {
		return r, err
	}
	if o.init {
		if !o.kinds["pid"].set {
			return r, fmt.Errorf("--init without --pid: process 1 of this pid namespace is another's")
		}
		r.Program, r.Argv = "/proc/self/exe", append([]string{"isolate", "init", "--"}, r.Argv...)
	}
	user, mnt := o.kinds["user"], o.kinds["mnt"]
	user.set = user.set || o.mapRoot || o.mapAuto || len(r.Maps.Users)+len(r.Maps.Groups) > 0
	mnt.set = mnt.set || o.mountProc
	if len(o.join) > 0 {
		return r, o.joins(&r)
	}
	r.New, r.Keep = o.chosen(), map[string]string{}
	for file, k := range o.kinds {
		r.Keep[file] = k.file
		if k.set && k.file == "" && o.keep != "" {
			r.Keep[file] = filepath.Join(o.keep, file)
		}
	}
	return r, nil
}

func shell() string {
	if s := os.Getenv("SHELL"); s != "" {
		return s
	}
	return "/bin/sh"
}

func (o isolateOptions) chosen() []namespace.Kind {
	var kinds []namespace.Kind
	for _, k := range namespace.Kinds() {
		if o.kinds[k.File].set {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

func (o isolateOptions) maps() (m isolate.Maps, err error) {
	if o.mapAuto {
		if len(o.mapUsers)+len(o.mapGroups) > 0 {
			return m, fmt.Errorf("--map-auto makes the maps itself: --map-users and --map-groups are another way")
		}
		return isolate.AutoMaps(os.Geteuid(), os.Getegid())
	}
	for _, list := range []struct {
		from []string
		to   *[]isolate.Range
	}{{o.mapUsers, &m.Users}, {o.mapGroups, &m.Groups}} {
		for _, text := range list.from {
			r, err := isolate.ParseRange(text)
			if err != nil {
				return m, err
			}
			*list.to = append(*list.to, r)
		}
	}
	return m, nil
}

// joins reads --join: a process, whose differing namespaces are joined, and
// single namespaces by path.
func (o isolateOptions) joins(r *isolate.Request) error {
	if o.mapRoot || o.mountProc || o.hostname != "" || len(r.Maps.Users) > 0 || (o.clock != isolate.Clock{}) {
		return fmt.Errorf("--join %s takes namespaces that exist: maps, --mount-proc, --hostname and clocks are for new ones", o.join[0])
	}
	r.JoinPaths = map[string]string{}
	for _, j := range o.join {
		if kind, path, ok := strings.Cut(j, "="); ok {
			k, err := namespace.Named(kind)
			if err != nil {
				return err
			}
			r.JoinPaths[k.File] = path
			continue
		}
		if r.Target != 0 {
			return fmt.Errorf("--join %s: the namespaces of one process only; others are joined by KIND=PATH", j)
		}
		var err error
		if r.Target, r.TargetFD, err = target(j); err != nil {
			return err
		}
		if r.Join, err = differing(r.Target, o.chosen()); err != nil {
			return err
		}
	}
	return nil
}

// target reads PID, or fd:N for a pidfd that we were given.
func target(j string) (pid, fd int, err error) {
	if n, ok := strings.CutPrefix(j, "fd:"); ok {
		if fd, err = strconv.Atoi(n); err == nil && fd > 0 {
			pid, err = namespace.PIDOf(fd)
			return pid, fd, err
		}
	} else if pid, err = strconv.Atoi(j); err == nil && pid > 0 {
		return pid, 0, nil
	}
	return 0, 0, fmt.Errorf("--join %s: want a process id, fd:N for a pidfd, or KIND=PATH", j)
}

// differing are the kinds in which the process is elsewhere; joining one's own
// user namespace again is refused by the kernel (setns(2), EINVAL).
func differing(pid int, chosen []namespace.Kind) ([]namespace.Kind, error) {
	theirs, err := namespace.Of(pid)
	if err != nil {
		return nil, err
	}
	ours, err := namespace.Of(os.Getpid())
	if err != nil {
		return nil, err
	}
	if len(chosen) == 0 {
		chosen = namespace.Kinds()
	}
	var kinds []namespace.Kind
	for _, k := range chosen {
		if theirs[k.File] != ours[k.File] {
			kinds = append(kinds, k)
		}
	}
	return kinds, nil
}
