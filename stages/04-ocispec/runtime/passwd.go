package runtime

import (
	"bufio"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxPasswd bounds what is read of an image's passwd (CVE-2026-47262).
const maxPasswd = 1 << 20

// homeOf looks a user's home directory up in the passwd below a root directory. A root without one, or without the user,
// gives "/".
func homeOf(root string, uid uint32) string {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "/"
	}
	defer unix.Close(dir)
	fd, err := unix.Openat2(dir, "etc/passwd", &unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
	if err != nil {
		return "/"
	}
	f := os.NewFile(uintptr(fd), "etc/passwd")
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return "/" // a pipe or a device could hold us for ever
	}
	return homeIn(io.LimitReader(f, maxPasswd), uid)
}

func homeIn(r io.Reader, uid uint32) string {
	want := strconv.FormatUint(uint64(uid), 10)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		f := strings.Split(lines.Text(), ":") // name:password:uid:gid:gecos:home:shell, passwd(5)
		if len(f) >= 6 && f[2] == want && f[5] != "" {
			return f[5]
		}
	}
	return "/"
}

// ownerName is a user's name on the host, or the number.
func ownerName(uid uint32) string {
	number := strconv.FormatUint(uint64(uid), 10)
	if uid == 0 {
		return "root"
	}
	f, err := os.Open("/etc/passwd")
	if err != nil {
		return number
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, maxPasswd))
	for lines.Scan() {
		if p := strings.Split(lines.Text(), ":"); len(p) > 2 && p[2] == number {
			return p[0]
		}
	}
	return number
}
