package enter

import (
	"slices"
	"strings"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"golang.org/x/sys/unix"
)

// kind is what a mount's target has to be.
type kind uint8

const (
	directory kind = iota
	file
	realDirectory // reached without any symbolic link
)

// roomToOpen is for the instructions of open and refuseType, and for those that most callers need besides: to grow a list of
// instructions is to copy kilobytes.
const roomToOpen = 7 + 4 + 13

// open brings a path below the root into r.target, making what is missing of it: directories 0755, and an empty file at the
// end where a file will be mounted. Nothing is ever made by a path from the host: each component is opened below the root
// and the next one is made in that directory (CVE-2024-45310). The instructions follow those in code.
func (r *Root) open(code []launch.Instr, path string, k kind) []launch.Instr {
	rel := relative(path)
	resolve := uint64(inRoot)
	if k == realDirectory {
		resolve |= unix.RESOLVE_NO_SYMLINKS
	}
	flags := uint64(unix.O_PATH)
	if k != file {
		flags |= unix.O_DIRECTORY
	}
	code = slices.Grow(code, roomToOpen+6*strings.Count(rel, "/"))
	code = append(code, openIn(r.root, rel, flags, resolve, r.target, "open").On(unix.ENOENT, "make").Goto("opened"))
	if rel == "." {
		return append(code, launch.Jump("opened").At("make"), launch.Jump("").At("opened"))
	}
	code = r.makeParents(code, rel)
	name := rel[strings.LastIndexByte(rel, '/')+1:]
	make := launch.Call(unix.SYS_MKDIRAT, r.dir, launch.Str(name), launch.Int(0o755))
	if k == file {
		make = launch.Call(unix.SYS_MKNODAT, r.dir, launch.Str(name), launch.Int(unix.S_IFREG|0o644), launch.Int(0))
	}
	return append(code,
		make.Or(unix.EEXIST), closeSlot(r.dir),
		openIn(r.root, rel, flags, resolve, r.target, "again"),
		launch.Jump("").At("opened"), // a place to jump to
	)
}

// openFor opens the target of a mount. It is not to lie in procfs, wherever links of the image lead: a container in which files of
// it are covered would have the runtime, and whoever looks after it, read and write something else (CVE-2019-16884).
func (r *Root) openFor(code []launch.Instr, m Mount, k kind) []launch.Instr {
	if m.OverProc {
		return r.open(code, m.Target, k)
	}
	return r.openOutsideProc(code, m.Target, k)
}

// openOutsideProc opens what is to be covered, and refuses a file of procfs.
func (r *Root) openOutsideProc(code []launch.Instr, path string, k kind) []launch.Instr {
	return append(r.open(code, path, k), refuseType(r.target, unix.PROC_SUPER_MAGIC)...)
}

// makeParents leaves the directory that a path's last component lies in open in r.dir. Most often it is there already.
func (r *Root) makeParents(code []launch.Instr, rel string) []launch.Instr {
	start := launch.Label("make")
	if last := strings.LastIndexByte(rel, '/'); last > 0 {
		code = append(code, openIn(r.root, rel[:last], unix.O_PATH|unix.O_DIRECTORY, inRoot, r.dir, start).On(unix.ENOENT, "from the top").Goto("parent"))
		start = "from the top"
	}
	code = append(code, openIn(r.root, ".", unix.O_PATH, inRoot, r.dir, start))
	for i, c := range rel {
		if c != '/' {
			continue
		}
		prefix := rel[:i]
		name := prefix[strings.LastIndexByte(prefix, '/')+1:]
		n := launch.Label(prefix)
		code = append(code,
			openIn(r.root, prefix, unix.O_PATH|unix.O_DIRECTORY, inRoot, r.tree, "open "+n).On(unix.ENOENT, "make "+n).Goto("have "+n),
			launch.Call(unix.SYS_MKDIRAT, r.dir, launch.Str(name), launch.Int(0o755)).Or(unix.EEXIST).At("make "+n),
			openIn(r.root, prefix, unix.O_PATH|unix.O_DIRECTORY, inRoot, r.tree, "again "+n),
			closeSlot(r.dir).At("have "+n),
			launch.Call(unix.SYS_DUP, r.tree).Into(r.dir),
			closeSlot(r.tree),
		)
	}
	return append(code, launch.Jump("").At("parent"))
}

// relative turns an absolute path of the container into one below a descriptor.
func relative(path string) string {
	path = strings.Trim(clean(path), "/")
	if path == "" {
		return "."
	}
	return path
}

// clean is path.Clean of a path that is made absolute first, so that ".." cannot climb above the root.
func clean(p string) string {
	var parts []string
	for c := range strings.SplitSeq(p, "/") {
		switch c {
		case "", ".":
		case "..":
			parts = parts[:max(len(parts)-1, 0)]
		default:
			parts = append(parts, c)
		}
	}
	return "/" + strings.Join(parts, "/")
}
