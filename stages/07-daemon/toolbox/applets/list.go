package applets

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ls knows -l -a -A -1 -d -R -h -n -i -t -r -F; on a terminal names stand in columns, otherwise one a line.
func ls(p *Proc) int {
	opt, operands, ok := p.getopt("-laA1dRhnitrFC")
	if !ok {
		return 1
	}
	if len(operands) == 0 {
		operands = []string{"."}
	}
	l := &lister{p: p, opt: opt, out: bufio.NewWriter(p.Out)}
	var files, dirs []string
	for _, name := range operands {
		info, err := os.Stat(name)
		if err != nil {
			info, err = os.Lstat(name)
		}
		switch {
		case err != nil:
			l.status = p.fail(err)
		case info.IsDir() && !opt.has('d'):
			dirs = append(dirs, name)
		default:
			files = append(files, name)
		}
	}
	l.show("", files, false)
	for i, dir := range dirs {
		if len(operands) > 1 || opt.has('R') {
			if i > 0 || len(files) > 0 {
				fmt.Fprintln(l.out)
			}
			fmt.Fprintf(l.out, "%s:\n", dir)
		}
		l.dir(dir)
	}
	if l.out.Flush() != nil {
		return 1
	}
	return l.status
}

type lister struct {
	p      *Proc
	opt    flags
	out    *bufio.Writer
	status int
}

func (l *lister) dir(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		l.status = l.p.fail(err)
		return
	}
	var names, below []string
	if l.opt.has('a') {
		names = append(names, ".", "..")
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") && !l.opt.has('a') && !l.opt.has('A') {
			continue
		}
		names = append(names, entry.Name())
		if entry.IsDir() {
			below = append(below, filepath.Join(dir, entry.Name()))
		}
	}
	l.show(dir, names, true)
	if !l.opt.has('R') {
		return
	}
	for _, sub := range below {
		fmt.Fprintf(l.out, "\n%s:\n", sub)
		l.dir(sub)
	}
}

type entry struct {
	name string
	path string
	info fs.FileInfo
}

func (l *lister) show(dir string, names []string, total bool) {
	var entries []entry
	for _, name := range names {
		full := name
		if dir != "" {
			full = dir + "/" + name
		}
		info, err := os.Lstat(full)
		if err != nil {
			l.status = l.p.fail(err)
			continue
		}
		entries = append(entries, entry{name, full, info})
	}
	l.order(entries)
	if l.opt.has('l') || l.opt.has('n') {
		l.long(entries, total)
		return
	}
	var words []string
	for _, e := range entries {
		words = append(words, l.inode(e)+e.name+l.mark(e))
	}
	if columns := terminalColumns(l.p.Out); columns > 0 && !l.opt.has('1') {
		writeColumns(l.out, words, columns)
		return
	}
	for _, word := range words {
		fmt.Fprintln(l.out, word)
	}
}

func (l *lister) order(entries []entry) {
	if l.opt.has('t') {
		for i := 1; i < len(entries); i++ { // insertion keeps equal times in name order
			for j := i; j > 0 && entries[j].info.ModTime().After(entries[j-1].info.ModTime()); j-- {
				entries[j], entries[j-1] = entries[j-1], entries[j]
			}
		}
	}
	if l.opt.has('r') {
		for i, j := 0, len(entries)-1; i < j; i, j = i+1, j-1 {
			entries[i], entries[j] = entries[j], entries[i]
		}
	}
}

func (l *lister) inode(e entry) string {
	if !l.opt.has('i') {
		return ""
	}
	return fmt.Sprintf("%7d ", e.info.Sys().(*syscall.Stat_t).Ino)
}

func (l *lister) mark(e entry) string {
	switch {
	case !l.opt.has('F'):
		return ""
	case e.info.IsDir():
		return "/"
	case e.info.Mode()&os.ModeSymlink != 0:
		return "@"
	case e.info.Mode()&0o111 != 0:
		return "*"
	}
	return ""
}

func (l *lister) long(entries []entry, total bool) {
	var blocks int64
	rows := make([][]string, len(entries))
	width := make([]int, 5)
	for i, e := range entries {
		st := e.info.Sys().(*syscall.Stat_t)
		blocks += st.Blocks
		rows[i] = []string{strconv.FormatUint(uint64(st.Nlink), 10), l.owner(st.Uid, userName), l.owner(st.Gid, groupName), l.size(e.info, st)}
		for column, text := range rows[i] {
			width[column] = max(width[column], len(text))
		}
	}
	if total {
		fmt.Fprintf(l.out, "total %d\n", blocks/2)
	}
	for i, e := range entries {
		name := e.name
		if e.info.Mode()&os.ModeSymlink != 0 {
			if text, err := os.Readlink(e.path); err == nil {
				name += " -> " + text
			}
		} else {
			name += l.mark(e)
		}
		r := rows[i]
		fmt.Fprintf(l.out, "%s%s %*s %-*s %-*s %*s %s %s\n", l.inode(e), modeString(e.info.Mode()), width[0], r[0], width[1], r[1],
			width[2], r[2], width[3], r[3], listTime(e.info.ModTime()), name)
	}
}

func (l *lister) owner(id uint32, name func(uint32) string) string {
	if l.opt.has('n') {
		return strconv.FormatUint(uint64(id), 10)
	}
	return name(id)
}

func (l *lister) size(info fs.FileInfo, st *syscall.Stat_t) string {
	if info.Mode()&os.ModeDevice != 0 {
		return fmt.Sprintf("%d, %3d", unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev)))
	}
	if l.opt.has('h') {
		return human(uint64(info.Size()))
	}
	return strconv.FormatInt(info.Size(), 10)
}

// human writes a size with one decimal and a binary unit, as `ls -h` and `df -h` do.
func human(n uint64) string {
	if n < 1024 {
		return strconv.FormatUint(n, 10)
	}
	value, unit := float64(n), -1
	for value >= 1024 && unit < 4 {
		value, unit = value/1024, unit+1
	}
	return fmt.Sprintf("%.1f%c", value, "KMGTP"[unit])
}

func listTime(t time.Time) string {
	if age := time.Since(t); age > 180*24*time.Hour || age < -time.Hour {
		return t.Format("Jan _2  2006")
	}
	return t.Format("Jan _2 15:04")
}

// modeString is the ten letters of ls -l (POSIX ls, "File mode written under the -l option").
func modeString(mode os.FileMode) string {
	kind := byte('-')
	switch {
	case mode.IsDir():
		kind = 'd'
	case mode&os.ModeSymlink != 0:
		kind = 'l'
	case mode&os.ModeCharDevice != 0:
		kind = 'c'
	case mode&os.ModeDevice != 0:
		kind = 'b'
	case mode&os.ModeNamedPipe != 0:
		kind = 'p'
	case mode&os.ModeSocket != 0:
		kind = 's'
	}
	text := []byte(string(kind) + mode.Perm().String()[1:])
	special := func(at int, set bool, letter byte) {
		if !set {
			return
		}
		if text[at] == '-' {
			letter -= 'a' - 'A'
		}
		text[at] = letter
	}
	special(3, mode&os.ModeSetuid != 0, 's')
	special(6, mode&os.ModeSetgid != 0, 's')
	special(9, mode&os.ModeSticky != 0, 't')
	return string(text)
}

func userName(id uint32) string {
	text := strconv.FormatUint(uint64(id), 10)
	if u, err := user.LookupId(text); err == nil {
		return u.Username
	}
	return text
}

func groupName(id uint32) string {
	text := strconv.FormatUint(uint64(id), 10)
	if g, err := user.LookupGroupId(text); err == nil {
		return g.Name
	}
	return text
}

func terminalColumns(out any) int {
	f, ok := out.(*os.File)
	if !ok {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	if size.Col == 0 {
		return 80
	}
	return int(size.Col)
}

func writeColumns(out *bufio.Writer, words []string, width int) {
	longest := 0
	for _, word := range words {
		longest = max(longest, len(word)+2)
	}
	if len(words) == 0 {
		return
	}
	columns := max(width/longest, 1)
	rows := (len(words) + columns - 1) / columns
	for row := range rows {
		for at := row; at < len(words); at += rows {
			if at+rows < len(words) {
				fmt.Fprintf(out, "%-*s", longest, words[at])
			} else {
				fmt.Fprint(out, words[at])
			}
		}
		fmt.Fprintln(out)
	}
}

func stat(p *Proc) int {
	opt, operands, ok := p.getopt("-c:L")
	if !ok {
		return 1
	}
	look := os.Lstat
	if opt.has('L') {
		look = os.Stat
	}
	return p.all(operands, func(name string) error {
		info, err := look(name)
		if err != nil {
			return err
		}
		if format, given := opt['c']; given {
			fmt.Fprintln(p.Out, statFormat(format, name, info))
			return nil
		}
		fmt.Fprint(p.Out, statFormat("  File: %n\n  Size: %s\tBlocks: %b\tIO Block: 4096 %F\nDevice: %d\tInode: %i\tLinks: %h\n"+
			"Access: (%a/%A)\tUid: (%u/%U)\tGid: (%g/%G)\nModify: %y\n", name, info))
		return nil
	})
}

func statFormat(format, name string, info fs.FileInfo) string {
	st := info.Sys().(*syscall.Stat_t)
	return strings.NewReplacer("%%", "%", "%n", name, "%s", fmt.Sprint(st.Size), "%b", fmt.Sprint(st.Blocks), "%F", kindOf(info.Mode()),
		"%d", fmt.Sprint(st.Dev), "%i", fmt.Sprint(st.Ino), "%h", fmt.Sprint(st.Nlink), "%a", strconv.FormatUint(uint64(st.Mode&0o7777), 8),
		"%A", modeString(info.Mode()), "%u", fmt.Sprint(st.Uid), "%U", userName(st.Uid), "%g", fmt.Sprint(st.Gid), "%G", groupName(st.Gid),
		"%Y", fmt.Sprint(info.ModTime().Unix()), "%y", info.ModTime().Format("2006-01-02 15:04:05.000000000 -0700"),
		"%t", strconv.FormatUint(uint64(unix.Major(uint64(st.Rdev))), 16), "%T", strconv.FormatUint(uint64(unix.Minor(uint64(st.Rdev))), 16)).Replace(format)
}

func kindOf(mode os.FileMode) string {
	switch {
	case mode.IsDir():
		return "directory"
	case mode&os.ModeSymlink != 0:
		return "symbolic link"
	case mode&os.ModeCharDevice != 0:
		return "character special file"
	case mode&os.ModeDevice != 0:
		return "block special file"
	case mode&os.ModeNamedPipe != 0:
		return "fifo"
	case mode&os.ModeSocket != 0:
		return "socket"
	}
	return "regular file"
}

// find walks below its paths and knows -name, -type, -maxdepth, -xdev, -print and -exec CMD {} ;
func find(p *Proc) int {
	args, roots := p.Args[1:], []string{}
	for len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		roots, args = append(roots, args[0]), args[1:]
	}
	if len(roots) == 0 {
		roots = []string{"."}
	}
	want := findWant{depth: -1}
	for len(args) > 0 {
		used, err := want.take(args)
		if err != nil {
			return p.fail(err)
		}
		args = args[used:]
	}
	status := 0
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				status = p.fail(err)
				return nil
			}
			return want.visit(p, root, path, entry)
		})
		if err != nil {
			status = p.fail(err)
		}
	}
	return status
}

type findWant struct {
	name, kind string
	depth      int
	sameDevice bool
	exec       []string
}

func (w *findWant) take(args []string) (int, error) {
	needs := func() error {
		if len(args) < 2 {
			return fmt.Errorf("%s: requires an argument", args[0])
		}
		return nil
	}
	switch args[0] {
	case "-print":
		return 1, nil
	case "-xdev", "-mount":
		w.sameDevice = true
		return 1, nil
	case "-name":
		if err := needs(); err != nil {
			return 0, err
		}
		w.name = args[1]
		_, err := path.Match(w.name, "")
		return 2, err
	case "-type":
		if err := needs(); err != nil {
			return 0, err
		}
		w.kind = args[1]
		return 2, nil
	case "-maxdepth":
		if err := needs(); err != nil {
			return 0, err
		}
		n, err := strconv.Atoi(args[1])
		w.depth = n
		return 2, err
	case "-exec":
		for i, arg := range args {
			if arg == ";" {
				w.exec = args[1:i]
				return i + 1, nil
			}
		}
		return 0, errors.New("-exec: no terminating ';'")
	}
	return 0, fmt.Errorf("unrecognized: %s", args[0])
}

func (w *findWant) visit(p *Proc, root, at string, entry fs.DirEntry) error {
	depth := 0
	if at != root {
		depth = strings.Count(strings.TrimPrefix(strings.TrimPrefix(at, root), "/"), "/") + 1
	}
	if w.depth >= 0 && depth > w.depth {
		return filepath.SkipDir
	}
	if w.matches(entry) {
		if w.exec == nil {
			if _, err := fmt.Fprintln(p.Out, at); err != nil {
				return filepath.SkipAll
			}
		} else {
			argv := make([]string, len(w.exec))
			for i, arg := range w.exec {
				argv[i] = strings.ReplaceAll(arg, "{}", at)
			}
			p.runWait(argv)
		}
	}
	if w.sameDevice && entry.IsDir() && !sameDevice(root, at) {
		return filepath.SkipDir
	}
	return nil
}

func (w *findWant) matches(entry fs.DirEntry) bool {
	if w.name != "" {
		if ok, err := path.Match(w.name, entry.Name()); err != nil || !ok {
			return false
		}
	}
	kinds := map[string]fs.FileMode{"d": fs.ModeDir, "l": fs.ModeSymlink, "p": fs.ModeNamedPipe, "s": fs.ModeSocket, "f": 0, "c": fs.ModeDevice | fs.ModeCharDevice, "b": fs.ModeDevice}
	return w.kind == "" || entry.Type() == kinds[w.kind]
}

func sameDevice(a, b string) bool {
	var x, y unix.Stat_t
	return unix.Lstat(a, &x) == nil && unix.Lstat(b, &y) == nil && x.Dev == y.Dev
}
