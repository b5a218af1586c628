package bundle

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// maxAccounts bounds what is read of an image's /etc/passwd or /etc/group (CVE-2026-47262).
const maxAccounts = 8 << 20 // bytes

// User reads USER[:GROUP], names and numbers, with the image's own files. A string of digits is a number and never a
// name, whatever the image's files call so (CVE-2016-3697). Without a group the user has those of the files.
func User(text, rootfs string) (specs.User, error) {
	if text == "" {
		return specs.User{}, nil
	}
	u, err := resolveUser(text, rootfs)
	if err != nil {
		return specs.User{}, fmt.Errorf("user %q: %w", text, err)
	}
	return u, nil
}

func resolveUser(text, rootfs string) (u specs.User, err error) {
	name, group, named := strings.Cut(text, ":")
	if name == "" || named && group == "" {
		return u, errors.New("not USER[:GROUP]")
	}
	account, err := find(rootfs, "etc/passwd", name)
	if err != nil {
		return u, err
	}
	u.UID, u.GID = account.id, account.main
	if named {
		g, err := find(rootfs, "etc/group", group)
		u.GID = g.id
		return u, err
	}
	if account.name == "" {
		return u, nil // nobody that the files know
	}
	return u, lines(rootfs, "etc/group", func(fields []string) error {
		if !slices.Contains(strings.Split(fields[3], ","), account.name) {
			return nil
		}
		id, err := number(fields[2])
		u.AdditionalGids = append(u.AdditionalGids, id)
		return err
	})
}

// account is a line of passwd(5) or group(5).
type account struct {
	name     string // "" when there is no line
	id, main uint32
}

// find looks for a name or a number. A number needs no line, and no file.
func find(rootfs, file, word string) (account, error) {
	found, digits := account{}, strings.Trim(word, "0123456789") == ""
	if digits {
		var err error
		if found.id, err = number(word); err != nil {
			return found, err
		}
	}
	err := lines(rootfs, file, func(fields []string) (err error) {
		if found.name != "" || !digits && fields[0] != word || digits && fields[2] != word {
			return nil
		}
		if found.id, err = number(fields[2]); err != nil {
			return err
		}
		found.name = fields[0]
		if len(fields) > 4 { // passwd(5); group(5) has four fields
			found.main, err = number(fields[3])
		}
		return err
	})
	if err == nil && found.name == "" && !digits {
		err = fmt.Errorf("/%s knows no %q", file, word)
	}
	return found, err
}

// number reads an id. What does not fit into 31 bits is refused: it is another id, or none, on the way to the kernel (CVE-2024-40635).
func number(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n > math.MaxInt32 {
		return 0, fmt.Errorf("id %q is not between 0 and %d", s, math.MaxInt32)
	}
	return uint32(n), nil
}

// lines calls fn for each line of at least four fields. A file that is not there has none.
func lines(rootfs, file string, fn func(fields []string) error) error {
	f, err := openAccounts(rootfs, file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("/%s: %w", file, err)
	}
	defer f.Close()
	all := bufio.NewScanner(f)
	for all.Scan() {
		fields := strings.Split(all.Text(), ":")
		if len(fields) < 4 {
			continue
		}
		if err := fn(fields); err != nil {
			return fmt.Errorf("/%s: %w", file, err)
		}
	}
	if err := all.Err(); err != nil {
		return fmt.Errorf("/%s: %w", file, err)
	}
	return nil
}

// openAccounts opens a file of the image as its programs would see it: links are resolved below its root (openat2(2)). Only
// a regular file of reasonable size is read: a pipe would never end, nor would /dev/zero.
func openAccounts(rootfs, file string) (*os.File, error) {
	root, err := os.Open(rootfs)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	fd, err := unix.Openat2(int(root.Fd()), file, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if errors.Is(err, unix.ENOENT) {
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), file)
	fi, err := f.Stat()
	switch {
	case err != nil:
	case !fi.Mode().IsRegular():
		err = fmt.Errorf("not a regular file but %s", fi.Mode().Type())
	case fi.Size() > maxAccounts:
		err = fmt.Errorf("%d bytes, more than %d", fi.Size(), maxAccounts)
	default:
		return f, nil
	}
	return nil, errors.Join(err, f.Close())
}
