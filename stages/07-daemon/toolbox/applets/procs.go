package applets

import (
	"bytes"
	"fmt"
	"os"
	"os/user"
	"slices"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ps lists all processes of the pid namespace that /proc shows. -o picks among pid, ppid, user, uid, stat, time, comm, args.
func ps(p *Proc) int {
	columns := []string{"pid", "user", "time", "args"}
	for i, arg := range p.Args {
		if arg == "-o" && i+1 < len(p.Args) {
			columns = strings.Split(p.Args[i+1], ",")
		} else if i > 0 && strings.HasPrefix(arg, "-o") && len(arg) > 2 {
			columns = strings.Split(arg[2:], ",")
		} else if arg == "-ef" || arg == "-f" {
			columns = []string{"user", "pid", "ppid", "time", "args"}
		}
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return p.fail(err)
	}
	var pids []int
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	sort.Ints(pids)
	var rows [][]string
	heads := map[string]string{"args": "COMMAND", "comm": "COMMAND"}
	title := make([]string, len(columns))
	for i, column := range columns {
		title[i] = strings.ToUpper(column)
		if heads[column] != "" {
			title[i] = heads[column]
		}
	}
	rows = append(rows, title)
	for _, pid := range pids {
		facts, err := processFacts(pid)
		if err != nil {
			continue // it ended between the listing and now
		}
		row := make([]string, len(columns))
		for i, column := range columns {
			value, known := facts[strings.TrimSuffix(column, "=")]
			if !known {
				return p.failf("bad -o argument '%s', known are: args comm pgid pid ppid sid stat time uid user", column)
			}
			row[i] = value
		}
		rows = append(rows, row)
	}
	p.table(rows)
	return 0
}

// table prints rows with numbers to the right, words to the left and the last column as it is.
func (p *Proc) table(rows [][]string) {
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			width[i] = max(width[i], len(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			_, err := strconv.Atoi(rows[len(rows)-1][i])
			switch {
			case i == len(row)-1:
				line.WriteString(cell)
			case err == nil:
				fmt.Fprintf(&line, "%*s ", max(width[i], 5), cell)
			default:
				fmt.Fprintf(&line, "%-*s ", width[i], cell)
			}
		}
		fmt.Fprintln(p.Out, strings.TrimRight(line.String(), " "))
	}
}

// processFacts reads /proc/PID/stat and cmdline (proc_pid_stat(5)).
func processFacts(pid int) (map[string]string, error) {
	dir := fmt.Sprintf("/proc/%d/", pid)
	text, err := os.ReadFile(dir + "stat")
	if err != nil {
		return nil, err
	}
	open, shut := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || shut < open {
		return nil, fmt.Errorf("%sstat: no command name", dir)
	}
	comm, fields := string(text[open+1:shut]), strings.Fields(string(text[shut+1:]))
	if len(fields) < 13 {
		return nil, fmt.Errorf("%sstat: %d fields", dir, len(fields))
	}
	args, err := os.ReadFile(dir + "cmdline")
	if err != nil {
		return nil, err
	}
	command := strings.TrimRight(strings.ReplaceAll(string(args), "\x00", " "), " ")
	if command == "" {
		command = "[" + comm + "]"
	}
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return nil, err
	}
	ticks := 0
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			return nil, err
		}
		ticks += n
	}
	seconds := ticks / 100 // USER_HZ is 100 on every Linux port Go runs on
	return map[string]string{
		"pid": strconv.Itoa(pid), "ppid": fields[1], "pgid": fields[2], "sid": fields[3], "stat": fields[0], "comm": comm,
		"args": command, "cmd": command, "command": command, "uid": strconv.Itoa(int(st.Uid)), "user": userName(st.Uid),
		"time": fmt.Sprintf("%d:%02d", seconds/60, seconds%60),
	}, nil
}

// SignalOf reads a signal's name, with or without SIG, or its number.
func SignalOf(text string) (syscall.Signal, bool) {
	if n, err := strconv.Atoi(text); err == nil && n >= 0 && n <= 64 {
		return syscall.Signal(n), true
	}
	name := strings.ToUpper(text)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	sig := unix.SignalNum(name)
	return sig, sig != 0
}

func kill(p *Proc) int {
	args, sig := p.Args[1:], syscall.SIGTERM
	if len(args) > 1 && args[0] == "-l" {
		return p.all(args[1:], func(text string) error { return p.translate(text) })
	}
	if len(args) > 0 && args[0] == "-l" {
		for n := 1; n < 32; n++ {
			fmt.Fprintf(p.Out, "%2d) %s\n", n, strings.TrimPrefix(unix.SignalName(syscall.Signal(n)), "SIG"))
		}
		return 0
	}
	if len(args) > 1 && (args[0] == "-s" || args[0] == "-n") {
		args = append([]string{"-" + args[1]}, args[2:]...)
	}
	if len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' && args[0] != "--" {
		var ok bool
		if sig, ok = SignalOf(args[0][1:]); !ok {
			return p.failf("bad signal name '%s'", args[0][1:])
		}
		args = args[1:]
	}
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	return p.all(args, func(text string) error {
		pid, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("invalid number '%s'", text)
		}
		if err := syscall.Kill(pid, sig); err != nil {
			return fmt.Errorf("can't kill pid %d: %s", pid, capital(err))
		}
		return nil
	})
}

// translate prints a signal's name for its number, and the number for the name; 128 and more is the status of a death by signal.
func (p *Proc) translate(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil {
		sig, ok := SignalOf(text)
		if !ok {
			return fmt.Errorf("bad signal name '%s'", text)
		}
		fmt.Fprintln(p.Out, int(sig))
		return nil
	}
	name := unix.SignalName(syscall.Signal(n % 128))
	if name == "" {
		return fmt.Errorf("unknown signal %s", text)
	}
	fmt.Fprintln(p.Out, strings.TrimPrefix(name, "SIG"))
	return nil
}

func id(p *Proc) int {
	opt, operands, ok := p.getopt("-ugGnr")
	if !ok {
		return 1
	}
	uid, gid := os.Geteuid(), os.Getegid()
	groups, err := os.Getgroups()
	if err != nil {
		return p.fail(err)
	}
	if len(operands) > 0 {
		u, err := user.Lookup(operands[0])
		if err != nil {
			return p.failf("unknown user %s", operands[0])
		}
		uid, _ = strconv.Atoi(u.Uid) // os/user read these numbers from passwd and has checked them
		gid, _ = strconv.Atoi(u.Gid)
		groups = nil
	}
	if !slices.Contains(groups, gid) {
		groups = append([]int{gid}, groups...)
	}
	show := func(n int, name func(uint32) string) string {
		if opt.has('n') {
			return name(uint32(n))
		}
		return strconv.Itoa(n)
	}
	switch {
	case opt.has('u'):
		fmt.Fprintln(p.Out, show(uid, userName))
	case opt.has('g'):
		fmt.Fprintln(p.Out, show(gid, groupName))
	case opt.has('G'):
		words := make([]string, len(groups))
		for i, g := range groups {
			words[i] = show(g, groupName)
		}
		fmt.Fprintln(p.Out, strings.Join(words, " "))
	default:
		fmt.Fprintf(p.Out, "uid=%s gid=%s groups=", named(uid, userName), named(gid, groupName))
		words := make([]string, len(groups))
		for i, g := range groups {
			words[i] = named(g, groupName)
		}
		fmt.Fprintln(p.Out, strings.Join(words, ","))
	}
	return 0
}

func named(n int, name func(uint32) string) string {
	if text := name(uint32(n)); text != strconv.Itoa(n) {
		return fmt.Sprintf("%d(%s)", n, text)
	}
	return strconv.Itoa(n)
}

func whoami(p *Proc) int {
	fmt.Fprintln(p.Out, userName(uint32(os.Geteuid())))
	return 0
}

func nproc(p *Proc) int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return p.fail(err)
	}
	fmt.Fprintln(p.Out, set.Count())
	return 0
}

func date(p *Proc) int {
	now := time.Now()
	format := "%a %b %e %H:%M:%S %Z %Y"
	for _, arg := range p.Args[1:] {
		switch {
		case arg == "-u":
			now = now.UTC()
		case strings.HasPrefix(arg, "+"):
			format = arg[1:]
		case arg == "-Iseconds":
			format = "%Y-%m-%dT%H:%M:%S%:z"
		default:
			return p.failf("invalid date '%s'", arg)
		}
	}
	fmt.Fprintln(p.Out, strftime(format, now))
	return 0
}

// strftime replaces the conversions of strftime(3) that scripts use.
func strftime(format string, t time.Time) string {
	layouts := map[byte]string{
		'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'd': "02", 'e': "_2", 'H': "15", 'I': "03", 'm': "01",
		'M': "04", 'p': "PM", 'S': "05", 'y': "06", 'Y': "2006", 'z': "-0700", 'Z': "MST", 'F': "2006-01-02", 'T': "15:04:05", 'D': "01/02/06", 'R': "15:04",
	}
	var out strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			out.WriteByte(format[i])
			continue
		}
		i++
		switch c := format[i]; {
		case layouts[c] != "":
			out.WriteString(t.Format(layouts[c]))
		case c == 's':
			out.WriteString(strconv.FormatInt(t.Unix(), 10))
		case c == 'N':
			fmt.Fprintf(&out, "%09d", t.Nanosecond())
		case c == 'j':
			fmt.Fprintf(&out, "%03d", t.YearDay())
		case c == 'u':
			out.WriteString(strconv.Itoa((int(t.Weekday())+6)%7 + 1))
		case c == 'n':
			out.WriteByte('\n')
		case c == '%':
			out.WriteByte('%')
		case c == ':' && i+1 < len(format) && format[i+1] == 'z':
			i++
			out.WriteString(t.Format("-07:00"))
		default:
			out.WriteString("%" + string(c))
		}
	}
	return out.String()
}
