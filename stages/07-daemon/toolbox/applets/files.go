package applets

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// all runs act on every operand and reports each failure.
func (p *Proc) all(operands []string, act func(string) error) int {
	if len(operands) == 0 {
		return p.failf("missing operand")
	}
	status := 0
	for _, name := range operands {
		if err := act(name); err != nil {
			status = p.fail(err)
		}
	}
	return status
}

func mkdir(p *Proc) int {
	opt, operands, ok := p.getopt("-pm:")
	if !ok {
		return 1
	}
	mode, err := octal(opt['m'], 0o777)
	if err != nil {
		return p.failf("invalid mode '%s'", opt['m'])
	}
	return p.all(operands, func(name string) error {
		if opt.has('p') {
			if err := os.MkdirAll(name, 0o777); err != nil {
				return err
			}
		} else if err := os.Mkdir(name, 0o777); err != nil {
			return err
		}
		if opt.has('m') {
			return os.Chmod(name, modeBits(mode))
		}
		return nil
	})
}

func octal(text string, fallback uint64) (uint64, error) {
	if text == "" {
		return fallback, nil
	}
	return strconv.ParseUint(text, 8, 12)
}

// modeBits turns Unix mode bits into Go's, which keep setuid, setgid and sticky elsewhere.
func modeBits(mode uint64) os.FileMode {
	m := os.FileMode(mode & 0o777)
	for bit, flag := range map[uint64]os.FileMode{0o4000: os.ModeSetuid, 0o2000: os.ModeSetgid, 0o1000: os.ModeSticky} {
		if mode&bit != 0 {
			m |= flag
		}
	}
	return m
}

func rmdir(p *Proc) int {
	_, operands, ok := p.getopt("-p")
	if !ok {
		return 1
	}
	return p.all(operands, func(name string) error {
		if err := unix.Rmdir(name); err != nil {
			return &os.PathError{Op: "rmdir", Path: name, Err: err}
		}
		return nil
	})
}

func rm(p *Proc) int {
	opt, operands, ok := p.getopt("-rRfi")
	if !ok {
		return 1
	}
	if len(operands) == 0 && opt.has('f') {
		return 0
	}
	return p.all(operands, func(name string) error {
		if base := filepath.Base(name); base == "." || base == ".." || filepath.Clean(name) == "/" {
			return fmt.Errorf("refusing to remove '%s'", name)
		}
		info, err := os.Lstat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist) && opt.has('f'):
			return nil
		case err != nil:
			return err
		case info.IsDir() && !opt.has('r') && !opt.has('R'):
			return &os.PathError{Op: "rm", Path: name, Err: syscall.EISDIR}
		case info.IsDir():
			return os.RemoveAll(name)
		}
		return os.Remove(name)
	})
}

// target is where a file lands: inside a directory it keeps its name.
func target(source, dest string) string {
	if info, err := os.Stat(dest); err == nil && info.IsDir() {
		return filepath.Join(dest, filepath.Base(source))
	}
	return dest
}

// pairs splits operands into sources and a destination, which must be a directory when there are several sources.
func (p *Proc) pairs(operands []string, act func(source, dest string) error) int {
	if len(operands) < 2 {
		return p.failf("missing operand")
	}
	dest := operands[len(operands)-1]
	sources := operands[:len(operands)-1]
	if info, err := os.Stat(dest); len(sources) > 1 && (err != nil || !info.IsDir()) {
		return p.failf("%s: Not a directory", dest)
	}
	return p.all(sources, func(source string) error { return act(source, target(source, dest)) })
}

func mv(p *Proc) int {
	_, operands, ok := p.getopt("-fin")
	if !ok {
		return 1
	}
	return p.pairs(operands, func(source, dest string) error {
		err := os.Rename(source, dest)
		if !errors.Is(err, syscall.EXDEV) {
			return err
		}
		if err := copyTree(source, dest, copyMode{recursive: true, preserve: true}); err != nil {
			return err
		}
		return os.RemoveAll(source)
	})
}

func cp(p *Proc) int {
	opt, operands, ok := p.getopt("-rRapfdL")
	if !ok {
		return 1
	}
	mode := copyMode{
		recursive: opt.has('r') || opt.has('R') || opt.has('a'),
		preserve:  opt.has('p') || opt.has('a'),
		follow:    opt.has('L'),
	}
	return p.pairs(operands, func(source, dest string) error { return copyTree(source, dest, mode) })
}

type copyMode struct{ recursive, preserve, follow bool }

func copyTree(source, dest string, mode copyMode) error {
	look := os.Stat
	if mode.recursive && !mode.follow {
		look = os.Lstat
	}
	info, err := look(source)
	if err != nil {
		return err
	}
	switch {
	case info.IsDir() && !mode.recursive:
		return fmt.Errorf("omitting directory '%s'", source)
	case info.IsDir():
		err = copyDir(source, dest, info, mode)
	case info.Mode()&os.ModeSymlink != 0:
		text, err := os.Readlink(source)
		if err != nil {
			return err
		}
		return os.Symlink(text, dest)
	case info.Mode().IsRegular() || !mode.recursive:
		err = copyFile(source, dest, info)
	default:
		st := info.Sys().(*syscall.Stat_t)
		err = unix.Mknod(dest, st.Mode, int(st.Rdev))
	}
	if err != nil || !mode.preserve {
		return err
	}
	return keepAttributes(dest, info)
}

func copyDir(source, dest string, info fs.FileInfo, mode copyMode) error {
	if err := os.Mkdir(dest, info.Mode().Perm()|0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	entries, err := os.ReadDir(source)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := copyTree(filepath.Join(source, entry.Name()), filepath.Join(dest, entry.Name()), mode); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(source, dest string, info fs.FileInfo) error {
	if same, err := os.Stat(dest); err == nil && os.SameFile(info, same) {
		return fmt.Errorf("'%s' and '%s' are the same file", source, dest)
	}
	in, err := os.Open(source)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dest, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, info.Mode().Perm())
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return errors.Join(err, out.Close())
	}
	return out.Close()
}

func keepAttributes(dest string, info fs.FileInfo) error {
	st := info.Sys().(*syscall.Stat_t)
	if err := os.Lchown(dest, int(st.Uid), int(st.Gid)); err != nil && os.Geteuid() == 0 {
		return err
	}
	if err := os.Chmod(dest, info.Mode()); err != nil {
		return err
	}
	return os.Chtimes(dest, time.Time{}, info.ModTime())
}

func ln(p *Proc) int {
	opt, operands, ok := p.getopt("-sfn")
	if !ok {
		return 1
	}
	if len(operands) == 1 {
		operands = append(operands, filepath.Base(operands[0]))
	}
	return p.pairs(operands, func(source, dest string) error {
		if opt.has('f') {
			if err := os.Remove(dest); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if opt.has('s') {
			return os.Symlink(source, dest)
		}
		return os.Link(source, dest)
	})
}

func touch(p *Proc) int {
	opt, operands, ok := p.getopt("-cam")
	if !ok {
		return 1
	}
	return p.all(operands, func(name string) error {
		now := time.Now()
		err := os.Chtimes(name, now, now)
		if !errors.Is(err, fs.ErrNotExist) || opt.has('c') {
			return err
		}
		f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o666)
		if err != nil {
			return err
		}
		return f.Close()
	})
}

func truncate(p *Proc) int {
	opt, operands, ok := p.getopt("-s:c")
	if !ok {
		return 1
	}
	size, err := byteSize(opt['s'])
	if err != nil {
		return p.failf("invalid number '%s'", opt['s'])
	}
	return p.all(operands, func(name string) error {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o666)
		if err != nil {
			return err
		}
		return errors.Join(f.Truncate(size), f.Close())
	})
}

// byteSize reads a number with dd's suffixes: k, K, M, G (powers of 1024).
func byteSize(text string) (int64, error) {
	shift := 0
	upper := strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(text), "IB"), "B")
	if upper != "" {
		if at := strings.IndexByte("KMGT", upper[len(upper)-1]); at >= 0 {
			shift, upper = 10*(at+1), upper[:len(upper)-1]
		}
	}
	n, err := strconv.ParseInt(upper, 10, 64)
	return n << shift, err
}

func readlink(p *Proc) int {
	opt, operands, ok := p.getopt("-fn")
	if !ok {
		return 1
	}
	if opt.has('f') {
		p.Args = append([]string{p.Args[0]}, operands...)
		return realpath(p)
	}
	status := 0
	for _, name := range operands {
		text, err := os.Readlink(name)
		if err != nil {
			status = 1 // readlink(1) says nothing about a file that is no link
			continue
		}
		fmt.Fprintln(p.Out, text)
	}
	return status
}

func realpath(p *Proc) int {
	return p.all(p.Args[1:], func(name string) error {
		path, err := filepath.Abs(name)
		if err != nil {
			return err
		}
		real, err := filepath.EvalSymlinks(path)
		if errors.Is(err, fs.ErrNotExist) { // the last component may be missing
			dir, derr := filepath.EvalSymlinks(filepath.Dir(path))
			real, err = filepath.Join(dir, filepath.Base(path)), derr
		}
		if err != nil {
			return err
		}
		fmt.Fprintln(p.Out, real)
		return nil
	})
}

func mktemp(p *Proc) int {
	opt, operands, ok := p.getopt("-dp:tu")
	if !ok {
		return 1
	}
	pattern, dir := "tmp.XXXXXX", os.TempDir()
	if opt['p'] != "" {
		dir = opt['p']
	}
	if len(operands) > 0 {
		pattern, dir = filepath.Base(operands[0]), filepath.Dir(operands[0])
	}
	pattern = strings.TrimRight(pattern, "X") + "*"
	var name string
	var err error
	if opt.has('d') {
		name, err = os.MkdirTemp(dir, pattern)
	} else {
		var f *os.File
		if f, err = os.CreateTemp(dir, pattern); err == nil {
			name, err = f.Name(), f.Close()
		}
	}
	if err != nil {
		return p.fail(err)
	}
	fmt.Fprintln(p.Out, name)
	return 0
}

func syncApplet(*Proc) int {
	unix.Sync()
	return 0
}
