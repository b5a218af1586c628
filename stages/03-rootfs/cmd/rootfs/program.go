package main

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/01-namespaces/launch/inherited"
	"github.com/slipway-engine/slipway/stages/03-rootfs/enter"
	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"
	"golang.org/x/sys/unix"
)

// program is what is to be run and where.
type program struct {
	argv, env []string
	dir       string
	hostname  string
	user      specs.User
	root      string // an empty directory of the host
	ids       string // CONTAINER:HOST:SIZE,... of a user namespace; "": there is none
	mounts    []snapshot.Mount
	readonly  bool
}

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// programOf puts together what the image says and what was asked for, as `docker run` does.
func programOf(config ocispec.ImageConfig, args []string, user specs.User, o runOptions) (program, error) {
	argv := append(slices.Clone(config.Entrypoint), config.Cmd...)
	if len(args) > 0 {
		argv = append(slices.Clone(config.Entrypoint), args...)
	}
	if len(argv) == 0 {
		return program{}, errors.New("no command: the image names none")
	}
	return program{
		argv: argv, env: mergeEnv([]string{defaultPath, "HOME=/root"}, config.Env, o.env), readonly: o.readonly,
		dir: cmp.Or(o.workdir, config.WorkingDir, "/"), hostname: o.hostname, user: user,
	}, nil
}

// mergeEnv lets later lists win over earlier ones.
func mergeEnv(lists ...[]string) []string {
	var env []string
	for _, v := range slices.Concat(lists...) {
		name, _, _ := strings.Cut(v, "=")
		i := slices.IndexFunc(env, func(o string) bool { return strings.HasPrefix(o, name+"=") })
		if i >= 0 {
			env[i] = v
		} else {
			env = append(env, v)
		}
	}
	return env
}

// plan lists the steps from here to the program.
func (p program) plan() (*launch.Plan, error) {
	var slots enter.Slots
	root := enter.New(enter.Config{
		Root: p.root, Readonly: p.readonly, Mounts: p.usualMounts(), Devices: enter.DefaultDevices(), Links: enter.DefaultLinks(),
		MaskedPaths: maskedPaths(), ReadonlyPaths: readonlyPaths(), BindDevices: p.ids != "", ParentOpens: p.ids != "",
	}, &slots)
	pivot, err := root.Pivot()
	if err != nil {
		return nil, err
	}
	have, err := permitted()
	if err != nil {
		return nil, err
	}
	plan := new(launch.Plan).Add(root.Prepare()...)
	after := []launch.Step{p.birth()}
	if p.ids != "" {
		after = append(after, p.mapIDs(), launch.BecomeRoot())
	}
	after = append(after, launch.Private())
	for _, m := range p.mounts {
		here, there := attach(m, p.root, slots.Take())
		plan.Add(here)
		after = append(after, there)
	}
	plan.Add(after...).Add(root.Fill()...).Add(pivot...)
	plan.Add(launch.Hostname(p.hostname), launch.KeepOnly(3, "a path of the image's, even its interpreter's, could lead through one of them to the host (CVE-2024-21626)"), launch.Chdir(p.dir, "the image's working directory"))
	plan.Add(launch.NofileLimit(inherited.Nofile.Cur, inherited.Nofile.Max), limitCapabilities(have), p.identity())
	plan.Add(lockDown(have, p.user.UID == 0), dieWithUs())
	return plan.Add(launch.Exec(p.argv, p.env, search(p.env))), nil
}

func (p program) birth() launch.Step {
	step := launch.Step{
		Name: "clone3 mnt pid uts ipc", Because: "clone(2): all new namespaces at once; the network stays this machine's",
		Clone: &launch.Clone{Flags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC},
	}
	if p.ids != "" {
		step.Name, step.Clone.Flags = step.Name+" user", step.Clone.Flags|unix.CLONE_NEWUSER
	}
	return step
}

// mapIDs makes the ids of the new user namespace those that the snapshot is mapped to.
func (p program) mapIDs() launch.Step {
	return launch.Step{
		Name: "map users and groups " + p.ids, Because: "user_namespaces(7): root inside is an ordinary user outside",
		Do: func(run *launch.Run) error {
			text := strings.NewReplacer(":", " ", ",", "\n").Replace(p.ids) + "\n"
			for _, file := range []string{"uid_map", "gid_map"} {
				if err := os.WriteFile(fmt.Sprintf("/proc/%d/%s", run.PID(), file), []byte(text), 0); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// attach are the two halves of a mount of the snapshot: it is made here, attached nowhere, and the child puts it into its own mount
// namespace. It is never seen on the host, and goes with the namespace.
func attach(m snapshot.Mount, target string, slot launch.Slot) (here, there launch.Step) {
	here = launch.Step{
		Name: "make the " + m.Type + " mount of the snapshot", Because: "what is written stays in its upper directory; the options of many layers do not fit into the child's one page",
		Do: func(run *launch.Run) error {
			f, err := snapshot.Detached(m)
			if err == nil {
				run.Hold(slot, f)
			}
			return err
		},
	}
	there = launch.Step{
		Name: "attach the snapshot at " + target, Because: "move_mount(2): in this mount namespace alone", Side: launch.Child,
		Code: []launch.Instr{
			launch.Call(unix.SYS_MOVE_MOUNT, slot, launch.Str(""), launch.Int(^uintptr(99)), launch.Str(target), launch.Int(unix.MOVE_MOUNT_F_EMPTY_PATH)),
			launch.Call(unix.SYS_CLOSE, slot),
		},
	}
	return here, there
}

func (p program) usualMounts() []enter.Mount {
	mount := func(fstype, target string, words ...string) enter.Mount {
		return enter.Mount{Source: fstype, Type: fstype, Target: target, Options: enter.ParseOptions(words)}
	}
	sys := mount("sysfs", "/sys", "nosuid", "noexec", "nodev", "ro")
	if p.ids != "" { // the network is the machine's, and so is its /sys: it can be shown, not mounted again
		sys = enter.Mount{Source: "/sys", Target: "/sys", Type: "bind", SourceIsDir: true, Options: enter.ParseOptions([]string{"rbind", "rro", "nosuid", "noexec", "nodev"})}
	}
	return []enter.Mount{
		mount("proc", "/proc", "nosuid", "noexec", "nodev"),
		mount("tmpfs", "/dev", "nosuid", "strictatime", "mode=755", "size=65536k"),
		mount("devpts", "/dev/pts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
		mount("tmpfs", "/dev/shm", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k"),
		sys,
	}
}

// identity drops to the image's user. Groups first: afterwards it may not be done any more (CVE-2022-36109).
func (p program) identity() launch.Step {
	u, groups := p.user, launch.Buf(0)
	for _, g := range u.AdditionalGids {
		groups.Data = binary.NativeEndian.AppendUint32(groups.Data, g)
	}
	return launch.Step{
		Name: fmt.Sprintf("become user %d, group %d", u.UID, u.GID), Because: "the image's user; setgroups(2) first, CVE-2022-36109", Side: launch.Child,
		Code: []launch.Instr{
			launch.Call(unix.SYS_SETGROUPS, launch.Int(len(u.AdditionalGids)), groups),
			launch.Call(unix.SYS_SETRESGID, launch.Int(u.GID), launch.Int(u.GID), launch.Int(u.GID)),
			launch.Call(unix.SYS_SETRESUID, launch.Int(u.UID), launch.Int(u.UID), launch.Int(u.UID)),
		},
	}
}

// dieWithUs ends the program when rootfs is killed: its root file system goes then too. After the identity, because a change
// of user takes it back (PR_SET_PDEATHSIG(2const)).
func dieWithUs() launch.Step {
	return launch.Step{
		Name: "die when the parent dies", Because: "prctl(2) PR_SET_PDEATHSIG: the next rootfs removes the snapshot of one that was killed", Side: launch.Child,
		Code: []launch.Instr{launch.Call(unix.SYS_PRCTL, launch.Int(unix.PR_SET_PDEATHSIG), launch.Int(unix.SIGKILL))},
	}
}

// search is the PATH of the program's own environment.
func search(env []string) string {
	for _, v := range env {
		if path, ok := strings.CutPrefix(v, "PATH="); ok {
			return path
		}
	}
	return ""
}
