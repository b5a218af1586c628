package plan

import (
	"encoding/binary"
	"fmt"
	"path"
	"strings"
	"syscall"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/04-ocispec/spec"
)

// FindProgram is the name of the step that looks for the program; its failure has words of its own.
const FindProgram = "find the program"

// chdir enters the working directory and verifies that it lies below the root: a path like /proc/self/fd/7 could lead to a
// directory of the host that somebody left open (CVE-2024-21626). As with runc, that of config.json is made when it is missing;
// that of exec is what somebody typed.
func (c *compiler) chdir() launch.Step {
	dir := path.Clean(c.proc.Cwd)
	enter := launch.Call(unix.SYS_CHDIR, launch.Str(dir))
	code := []launch.Instr{enter}
	if !c.joining {
		code = append([]launch.Instr{enter.On(unix.ENOENT, "make").Goto("there")}, makeDirectory(dir)...)
	}
	var slash [8]byte
	slash[0] = '/'
	var first [8]byte
	first[0] = 0xff
	where := launch.Buf(4096)
	code = append(code,
		launch.Call(unix.SYS_GETCWD, where, launch.Int(len(where.Data))).At("there"),
		launch.Expect(where, 0, binary.NativeEndian.Uint64(first[:]), binary.NativeEndian.Uint64(slash[:]), syscall.ENOENT))
	return child("chdir to "+dir, "config.json process.cwd; verified to be inside by getcwd(2) (CVE-2024-21626)", code...)
}

// makeDirectory makes a directory with all above it, and enters it.
func makeDirectory(dir string) []launch.Instr {
	var code []launch.Instr
	for i, prefix := range prefixes(dir) {
		mkdir := launch.Call(unix.SYS_MKDIRAT, atCwd, launch.Str(prefix), launch.Int(0o755)).Or(unix.EEXIST, unix.EROFS)
		if i == 0 {
			mkdir = mkdir.At("make")
		}
		code = append(code, mkdir)
	}
	if dir == "/" {
		code = append(code, launch.Jump("").At("make"))
	}
	return append(code, launch.Call(unix.SYS_CHDIR, launch.Str(dir)))
}

func prefixes(dir string) []string {
	var list []string
	for i := 1; i < len(dir); i++ {
		if dir[i] == '/' {
			list = append(list, dir[:i])
		}
	}
	if dir == "/" {
		return nil
	}
	return append(list, dir)
}

// environment is what the program gets: of several values of a name the last one, in the first one's place, because most
// programs would take the first and shells the last. HOME is added when it is missing or empty, as every runtime does.
func (c *compiler) environment() []string { return Environment(c.proc.Env, c.facts.Home) }

// Environment is that of a program for which config.json says env, and whose user has that home directory.
func Environment(given []string, homeDir string) []string {
	var env []string
	place := map[string]int{}
	for _, e := range given {
		name, _, _ := strings.Cut(e, "=")
		if i, ok := place[name]; ok {
			env[i] = e
			continue
		}
		place[name] = len(env)
		env = append(env, e)
	}
	if homeDir == "" {
		return env
	}
	home := "HOME=" + homeDir
	if i, ok := place["HOME"]; !ok {
		env = append(env, home)
	} else if env[i] == "HOME=" {
		env[i] = home
	}
	return env
}

// candidates are the paths that the program's name may stand for (execvp(3)).
func (c *compiler) candidates() []string {
	name, search := c.proc.Args[0], ""
	if name == "" { // every directory of PATH would be one
		return nil
	}
	for _, e := range c.proc.Env {
		if value, ok := strings.CutPrefix(e, "PATH="); ok {
			search = value
		}
	}
	if strings.Contains(name, "/") {
		return []string{name}
	}
	var list []string
	for dir := range strings.SplitSeq(search, ":") {
		if path.IsAbs(dir) { // a relative one would make the program depend on the working directory
			list = append(list, path.Join(dir, name))
		}
	}
	return list
}

// findProgram makes a missing program an error of create, long before execve would say so.
func (c *compiler) findProgram() launch.Step {
	var code []launch.Instr
	list := c.candidates()
	try := func(i int) launch.Label { return launch.Label(fmt.Sprint("candidate ", i)) }
	for i, p := range list {
		look := launch.Call(unix.SYS_FACCESSAT, atCwd, launch.Str(p), launch.Int(unix.X_OK)).At(try(i))
		if len(list) > 1 {
			for _, e := range []syscall.Errno{unix.ENOENT, unix.ENOTDIR, unix.EACCES, unix.ELOOP} {
				look = look.On(e, try(i+1))
			}
		}
		isDirectory := launch.Call(unix.SYS_FACCESSAT, atCwd, launch.Str(p+"/."), launch.Int(unix.F_OK)).On(unix.ENOTDIR, launch.Next)
		code = append(code, look, isDirectory)
	}
	errno := unix.EACCES // execve(2) of a directory
	if len(list) != 1 {
		errno = unix.ENOENT // none of them
	}
	code = append(code, launch.Expect(launch.Buf(8), 0, 1, 1, errno).At(try(len(list))))
	return child(FindProgram+" "+c.proc.Args[0], "a missing program is an error of create", code...)
}

// exec becomes the program.
func (c *compiler) exec() launch.Step {
	var code []launch.Instr
	list := c.candidates()
	argv, env := launch.Strs(c.proc.Args), launch.Strs(c.environment())
	for i, p := range list {
		call := launch.Call(unix.SYS_EXECVE, launch.Str(p), argv, env)
		if i < len(list)-1 {
			call = call.Or(unix.ENOENT, unix.ENOTDIR, unix.EACCES)
		}
		code = append(code, call)
	}
	if len(code) == 0 {
		code = append(code, launch.Expect(launch.Buf(8), 0, 1, 1, syscall.ENOENT))
	}
	return child(fmt.Sprintf("execve %s", strings.Join(c.proc.Args, " ")), "execve(2); end of file on the gate says that it succeeded", code...)
}

// ownStreams gives the user the pipes and terminals that it was started with, so that /dev/stdout can be opened again. Files
// and devices of others are left alone (CVE-2026-88265).
func (c *compiler) ownStreams() []launch.Step {
	if c.proc.User.UID == 0 && !c.mapped() {
		return nil
	}
	var code []launch.Instr
	for fd := range launch.Int(3) {
		next := launch.Label(fmt.Sprint("after ", fd))
		st := launch.Buf(256)
		code = append(code,
			launch.Call(unix.SYS_STATX, fd, launch.Str(""), launch.Int(unix.AT_EMPTY_PATH), launch.Int(unix.STATX_BASIC_STATS), st).On(unix.EBADF, next),
			launch.Expect(st, 24, modeWord(unix.S_IFMT), modeWord(unix.S_IFIFO), syscall.ENXIO).On(syscall.ENXIO, next),
			launch.Call(unix.SYS_FCHOWN, fd, launch.Int(c.proc.User.UID), launch.Int(^uint32(0))).Or(unix.EPERM, unix.EINVAL, unix.EROFS),
			launch.Jump("").At(next))
	}
	return []launch.Step{child(fmt.Sprintf("give the standard streams to user %d", c.proc.User.UID), "so that /dev/stdout can be opened again; pipes only", code...)}
}

// mapped tells whether ids inside are others than outside.
func (c *compiler) mapped() bool {
	return c.spec != nil && c.spec.Linux != nil && spec.Has(c.spec, specs.UserNamespace)
}

// modeWord is a file mode where struct statx has it in the word at offset 24: behind the group.
func modeWord(mode uint16) uint64 {
	var b [8]byte
	binary.NativeEndian.PutUint16(b[4:], mode)
	return binary.NativeEndian.Uint64(b[:])
}
