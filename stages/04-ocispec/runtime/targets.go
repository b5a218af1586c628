package runtime

import (
	"path"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/03-rootfs/enter"
)

// maxLinks is how many links a path may lead through (path_resolution(7)).
const maxLinks = 40

// danglingTargets finds the targets of mounts that lie behind a link of the image whose end is missing, and says where that end
// is, inside the root: a link to be made is no directory that mkdirat(2) could make something in. What an earlier mount covers
// is not the image's. Whoever changes the image meanwhile gains nothing: the result is a path inside, resolved there again.
func danglingTargets(s *specs.Spec) map[string]string {
	targets := map[string]string{}
	root, err := unix.Open(s.Root.Path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return targets
	}
	defer unix.Close(root)
	covered := map[string]bool{}
	for _, m := range s.Mounts {
		target := path.Clean("/" + m.Destination)
		if !coveredAbove(covered, target) && (bound(m) || m.Type == "tmpfs") && !existsIn(root, target) { // where the kernel's own files appear is never a link's to say
			if end := endOf(root, target); end != target {
				targets[target] = end
			}
		}
		covered[target] = true
	}
	return targets
}

func bound(m specs.Mount) bool { return enter.ParseOptions(m.Options).Bind() }

func openBelow(root int, p string, flags uint64) (int, error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC | flags, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	return unix.Openat2(root, path.Join(".", p), &how)
}

func existsIn(root int, target string) bool {
	fd, err := openBelow(root, target, 0)
	if err != nil {
		return false
	}
	_ = unix.Close(fd) // nothing was written
	return true
}

// endOf follows a path below a root by hand, through links that lead nowhere, too.
func endOf(root int, target string) string {
	at, rest := "/", strings.Split(target, "/")
	for links := 0; len(rest) > 0 && links < maxLinks; {
		name := rest[0]
		rest = rest[1:]
		next := path.Join(at, name)
		if name == ".." { // at has no links in it
			next = path.Dir(at)
		}
		to, ok := linkAt(root, next)
		if !ok {
			at = next
			continue
		}
		links++
		rest = append(strings.Split(to, "/"), rest...)
		if path.IsAbs(to) {
			at = "/"
		}
	}
	if len(rest) > 0 { // a loop: the kernel will say so
		return target
	}
	return at
}

func linkAt(root int, p string) (to string, ok bool) {
	fd, err := openBelow(root, p, unix.O_NOFOLLOW)
	if err != nil {
		return "", false
	}
	defer unix.Close(fd)
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", buf)
	if err != nil { // ENOENT: it is something else than a link
		return "", false
	}
	return string(buf[:n]), true
}
