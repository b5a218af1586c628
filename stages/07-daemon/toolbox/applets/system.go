package applets

import (
	"bufio"
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

func hostname(p *Proc) int {
	if len(p.Args) > 1 && !strings.HasPrefix(p.Args[1], "-") {
		if err := unix.Sethostname([]byte(p.Args[1])); err != nil {
			return p.failf("sethostname: %s", capital(err))
		}
		return 0
	}
	name, err := os.Hostname()
	if err != nil {
		return p.fail(err)
	}
	if len(p.Args) > 1 && p.Args[1] == "-i" {
		return p.addresses(name)
	}
	fmt.Fprintln(p.Out, name)
	return 0
}

func uname(p *Proc) int {
	opt, _, ok := p.getopt("-asnrvmop")
	if !ok {
		return 1
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return p.fail(err)
	}
	if len(opt) == 0 {
		opt = flags{'s': ""}
	}
	var words []string
	add := func(letter byte, text string) {
		if opt.has(letter) || opt.has('a') {
			words = append(words, text)
		}
	}
	add('s', unix.ByteSliceToString(u.Sysname[:]))
	add('n', unix.ByteSliceToString(u.Nodename[:]))
	add('r', unix.ByteSliceToString(u.Release[:]))
	add('v', unix.ByteSliceToString(u.Version[:]))
	add('m', unix.ByteSliceToString(u.Machine[:]))
	add('o', "Linux")
	fmt.Fprintln(p.Out, strings.Join(words, " "))
	return 0
}

func uptime(p *Proc) int {
	text, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return p.fail(err)
	}
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return p.fail(err)
	}
	seconds := int(leadingNumber(string(text)))
	loads := strings.Fields(string(load))
	fmt.Fprintf(p.Out, " %s up %d days, %2d:%02d,  load average: %s\n", time.Now().Format("15:04:05"),
		seconds/86400, seconds/3600%24, seconds/60%60, strings.Join(loads[:min(3, len(loads))], ", "))
	return 0
}

func free(p *Proc) int {
	opt, _, ok := p.getopt("-bkmgh")
	if !ok {
		return 1
	}
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return p.fail(err)
	}
	defer f.Close()
	kib := map[string]uint64{}
	if err := eachLine(f, func(line string) error {
		name, rest, _ := strings.Cut(line, ":")
		kib[name] = uint64(leadingNumber(rest))
		return nil
	}); err != nil {
		return p.fail(err)
	}
	show := func(n uint64) string {
		switch {
		case opt.has('h'):
			return human(n * 1024)
		case opt.has('b'):
			return strconv.FormatUint(n*1024, 10)
		case opt.has('m'):
			return strconv.FormatUint(n/1024, 10)
		case opt.has('g'):
			return strconv.FormatUint(n/1024/1024, 10)
		}
		return strconv.FormatUint(n, 10)
	}
	cache := kib["Buffers"] + kib["Cached"] + kib["SReclaimable"]
	row := func(name string, values ...uint64) {
		fmt.Fprintf(p.Out, "%-6s", name)
		for _, v := range values {
			fmt.Fprintf(p.Out, " %12s", show(v))
		}
		fmt.Fprintln(p.Out)
	}
	fmt.Fprintf(p.Out, "%-6s %12s %12s %12s %12s %12s %12s\n", "", "total", "used", "free", "shared", "buff/cache", "available")
	row("Mem:", kib["MemTotal"], kib["MemTotal"]-kib["MemFree"]-cache, kib["MemFree"], kib["Shmem"], cache, kib["MemAvailable"])
	row("Swap:", kib["SwapTotal"], kib["SwapTotal"]-kib["SwapFree"], kib["SwapFree"])
	return 0
}

func df(p *Proc) int {
	opt, operands, ok := p.getopt("-hkaT")
	if !ok {
		return 1
	}
	mounts, err := os.Open("/proc/self/mounts")
	if err != nil {
		return p.fail(err)
	}
	defer mounts.Close()
	rows := [][]string{{"Filesystem", "1K-blocks", "Used", "Available", "Use%", "Mounted on"}}
	if opt.has('h') {
		rows[0][1] = "Size"
	}
	type mountLine struct{ source, at string }
	var list []mountLine
	if err := eachLine(mounts, func(line string) error {
		if f := strings.Fields(line); len(f) > 2 {
			list = append(list, mountLine{f[0], f[1]})
		}
		return nil
	}); err != nil {
		return p.fail(err)
	}
	if len(operands) > 0 {
		var chosen []mountLine
		for _, name := range operands {
			best := mountLine{"-", name}
			for _, m := range list {
				if sameDevice(m.at, name) {
					best = m
				}
			}
			chosen = append(chosen, best)
		}
		list = chosen
	}
	status := 0
	for _, m := range list {
		var st unix.Statfs_t
		if err := unix.Statfs(m.at, &st); err != nil {
			if len(operands) > 0 {
				status = p.failf("%s: %s", m.at, capital(err))
			}
			continue
		}
		if st.Blocks == 0 && !opt.has('a') && len(operands) == 0 {
			continue
		}
		size := uint64(st.Bsize)
		used := (st.Blocks - st.Bfree) * size
		percent := "-"
		if usable := used + st.Bavail*size; usable > 0 {
			percent = fmt.Sprintf("%d%%", (used*100+usable-1)/usable)
		}
		show := func(n uint64) string {
			if opt.has('h') {
				return human(n)
			}
			return strconv.FormatUint(n/1024, 10)
		}
		rows = append(rows, []string{m.source, show(st.Blocks * size), show(used), show(st.Bavail * size), percent, m.at})
	}
	p.table(rows)
	return status
}

func du(p *Proc) int {
	opt, operands, ok := p.getopt("-shkxac")
	if !ok {
		return 1
	}
	if len(operands) == 0 {
		operands = []string{"."}
	}
	show := func(blocks int64, name string) {
		text := strconv.FormatInt((blocks+1)/2, 10)
		if opt.has('h') {
			text = human(uint64(blocks) * 512)
		}
		fmt.Fprintf(p.Out, "%s\t%s\n", text, name)
	}
	seen := map[[2]uint64]bool{}
	return p.all(operands, func(root string) error {
		var walk func(path string) (int64, error)
		walk = func(path string) (int64, error) {
			info, err := os.Lstat(path)
			if err != nil {
				return 0, err
			}
			st := info.Sys().(*syscall.Stat_t)
			key := [2]uint64{uint64(st.Dev), st.Ino}
			if st.Nlink > 1 && !info.IsDir() && seen[key] {
				return 0, nil
			}
			seen[key] = true
			total := st.Blocks
			if !info.IsDir() {
				return total, nil
			}
			entries, err := os.ReadDir(path)
			if err != nil {
				p.fail(err)
			}
			for _, entry := range entries {
				n, err := walk(filepath.Join(path, entry.Name()))
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					p.fail(err)
				}
				total += n
			}
			if !opt.has('s') && path != root {
				show(total, path)
			}
			return total, nil
		}
		total, err := walk(root)
		if err == nil {
			show(total, root)
		}
		return err
	})
}

// dd copies blocks: if=, of=, bs=, count=, skip=, seek=, conv=notrunc.
func dd(p *Proc) int {
	set := map[string]string{"bs": "512", "count": "-1", "skip": "0", "seek": "0"}
	for _, arg := range p.Args[1:] {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			return p.failf("unrecognized operand '%s'", arg)
		}
		set[name] = value
	}
	numbers := map[string]int64{}
	for _, name := range []string{"bs", "count", "skip", "seek"} {
		n, err := byteSize(set[name])
		if err != nil {
			return p.failf("invalid number '%s'", set[name])
		}
		numbers[name] = n
	}
	in, out := p.In, p.Out
	if name := set["if"]; name != "" {
		f, err := os.Open(name)
		if err != nil {
			return p.fail(err)
		}
		defer f.Close()
		in = f
	}
	if name := set["of"]; name != "" {
		mode := os.O_CREATE | os.O_WRONLY
		if !strings.Contains(set["conv"], "notrunc") && numbers["seek"] == 0 {
			mode |= os.O_TRUNC
		}
		f, err := os.OpenFile(name, mode, 0o666)
		if err != nil {
			return p.fail(err)
		}
		defer f.Close()
		if _, err := f.Seek(numbers["seek"]*numbers["bs"], io.SeekStart); err != nil {
			return p.fail(err)
		}
		out = f
	}
	return p.copyBlocks(in, out, numbers)
}

func (p *Proc) copyBlocks(in io.Reader, out io.Writer, set map[string]int64) int {
	block := make([]byte, set["bs"])
	started := time.Now()
	var full, partial, bytes int64
	status := 0
	for i := int64(0); set["count"] < 0 || i < set["count"]+set["skip"]; i++ {
		n, err := io.ReadFull(in, block)
		if n > 0 && i >= set["skip"] {
			if _, werr := out.Write(block[:n]); werr != nil {
				status = p.fail(werr)
				break
			}
			bytes += int64(n)
			if n == len(block) {
				full++
			} else {
				partial++
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			status = p.fail(err)
			break
		}
	}
	seconds := time.Since(started).Seconds()
	fmt.Fprintf(p.Err, "%d+%d records in\n%d+%d records out\n%d bytes (%sB) copied, %f seconds, %sB/s\n", full, partial, full, partial,
		bytes, human(uint64(bytes)), seconds, human(uint64(float64(bytes)/seconds)))
	return status
}

func tty(p *Proc) int {
	f, ok := p.In.(*os.File)
	if !ok || !isTerminal(int(f.Fd())) {
		fmt.Fprintln(p.Out, "not a tty")
		return 1
	}
	name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		return p.fail(err)
	}
	fmt.Fprintln(p.Out, name)
	return 0
}

// stty shows the size, and switches echo, raw and cooked modes of the terminal on standard input (termios(3)).
func stty(p *Proc) int {
	f, ok := p.In.(*os.File)
	if !ok || !isTerminal(int(f.Fd())) {
		return p.failf("standard input: Inappropriate ioctl for device")
	}
	fd := int(f.Fd())
	size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
	if err != nil {
		return p.fail(err)
	}
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return p.fail(err)
	}
	args := p.Args[1:]
	if len(args) == 0 || args[0] == "-a" {
		fmt.Fprintf(p.Out, "rows %d; columns %d; echo %v; icanon %v; isig %v\n", size.Row, size.Col,
			t.Lflag&unix.ECHO != 0, t.Lflag&unix.ICANON != 0, t.Lflag&unix.ISIG != 0)
		return 0
	}
	for i := 0; i < len(args); i++ {
		switch args[i] {
		case "size":
			fmt.Fprintf(p.Out, "%d %d\n", size.Row, size.Col)
			return 0
		case "echo":
			t.Lflag |= unix.ECHO
		case "-echo":
			t.Lflag &^= unix.ECHO
		case "raw":
			t.Lflag &^= unix.ICANON | unix.ISIG | unix.IEXTEN
			t.Iflag &^= unix.ICRNL | unix.IXON
			t.Oflag &^= unix.OPOST
		case "sane", "cooked", "-raw":
			t.Lflag |= unix.ICANON | unix.ISIG | unix.IEXTEN | unix.ECHO
			t.Iflag |= unix.ICRNL | unix.IXON
			t.Oflag |= unix.OPOST
		case "rows", "cols", "columns":
			if i+1 == len(args) {
				return p.failf("%s requires an argument", args[i])
			}
			n, err := strconv.ParseUint(args[i+1], 10, 16)
			if err != nil {
				return p.failf("invalid number '%s'", args[i+1])
			}
			if args[i] == "rows" {
				size.Row = uint16(n)
			} else {
				size.Col = uint16(n)
			}
			if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, size); err != nil {
				return p.fail(err)
			}
			i++
		default:
			return p.failf("invalid argument '%s'", args[i])
		}
	}
	if err := unix.IoctlSetTermios(fd, unix.TCSETSW, t); err != nil {
		return p.fail(err)
	}
	return 0
}

// mount lists mounts, or makes one: -t TYPE, -o OPTIONS, --bind, --rbind.
func mount(p *Proc) int {
	var bind uintptr
	args := p.Args[:1]
	for _, arg := range p.Args[1:] {
		switch arg {
		case "--bind", "-B":
			bind = unix.MS_BIND
		case "--rbind", "-R":
			bind = unix.MS_BIND | unix.MS_REC
		default:
			args = append(args, arg)
		}
	}
	p.Args = args
	opt, operands, ok := p.getopt("-t:o:r")
	if !ok {
		return 1
	}
	if len(operands) == 0 {
		return p.listMounts()
	}
	if len(operands) != 2 {
		return p.failf("usage: mount [-t TYPE] [-o OPTIONS] SOURCE TARGET")
	}
	options, data := mountOptions(opt['o'])
	if opt.has('r') {
		options |= unix.MS_RDONLY
	}
	if err := unix.Mount(operands[0], operands[1], opt['t'], options|bind, data); err != nil {
		return p.failf("mounting %s on %s: %s", operands[0], operands[1], capital(err))
	}
	return 0
}

func (p *Proc) listMounts() int {
	f, err := os.Open("/proc/self/mounts")
	if err != nil {
		return p.fail(err)
	}
	defer f.Close()
	out := bufio.NewWriter(p.Out)
	err = eachLine(f, func(line string) error {
		if w := strings.Fields(line); len(w) > 3 {
			fmt.Fprintf(out, "%s on %s type %s (%s)\n", w[0], w[1], w[2], w[3])
		}
		return nil
	})
	if err := errors.Join(err, out.Flush()); err != nil {
		return p.fail(err)
	}
	return 0
}

// mountOptions splits a list into the flags of mount(2) and what is left for the file system.
func mountOptions(list string) (uintptr, string) {
	known := map[string]uintptr{
		"ro": unix.MS_RDONLY, "nosuid": unix.MS_NOSUID, "nodev": unix.MS_NODEV, "noexec": unix.MS_NOEXEC, "remount": unix.MS_REMOUNT,
		"bind": unix.MS_BIND, "rbind": unix.MS_BIND | unix.MS_REC, "private": unix.MS_PRIVATE, "rprivate": unix.MS_PRIVATE | unix.MS_REC,
		"shared": unix.MS_SHARED, "slave": unix.MS_SLAVE, "noatime": unix.MS_NOATIME, "rw": 0, "defaults": 0,
	}
	var set uintptr
	var rest []string
	for word := range strings.SplitSeq(list, ",") {
		if flag, ok := known[word]; ok {
			set |= flag
		} else if word != "" {
			rest = append(rest, word)
		}
	}
	return set, strings.Join(rest, ",")
}

func umount(p *Proc) int {
	opt, operands, ok := p.getopt("-lf")
	if !ok {
		return 1
	}
	flag := 0
	if opt.has('l') {
		flag |= unix.MNT_DETACH
	}
	if opt.has('f') {
		flag |= unix.MNT_FORCE
	}
	return p.all(operands, func(name string) error {
		if err := unix.Unmount(name, flag); err != nil {
			return fmt.Errorf("can't unmount %s: %s", name, capital(err))
		}
		return nil
	})
}
