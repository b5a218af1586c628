package namespace

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Namespace is one that exists, seen through the processes in it.
type Namespace struct {
	ID      ID     `json:"ns"`
	Kind    string `json:"type"`   // "mnt", as lsns(8) prints it
	Procs   int    `json:"nprocs"` // processes in it
	PID     int    `json:"pid"`    // the lowest of them
	PPID    int    `json:"ppid"`
	UID     int    `json:"uid"` // of that process
	Command string `json:"command"`
	Owner   ID     `json:"owner"`  // the user namespace that owns it; 0: not visible from here
	Parent  ID     `json:"parent"` // of a user or pid namespace; 0: none, or not visible
}

// Of gives the namespaces of one process, by file name ("mnt"). For a process
// that is itself in another pid namespace than its next child will be, "pid" is
// its own.
func Of(pid int) (map[string]ID, error) {
	ids := make(map[string]ID, 8)
	for _, k := range Kinds() {
		id, err := read(fmt.Sprintf("/proc/%d/ns/%s", pid, k.File))
		if errors.Is(err, fs.ErrNotExist) && k.File == "time" { // before Linux 5.6
			continue
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("no process %d: %w", pid, fs.ErrNotExist)
		}
		if err != nil {
			return nil, fmt.Errorf("namespaces of process %d: %w", pid, err)
		}
		ids[k.File] = id
	}
	return ids, nil
}

// read takes the number out of "mnt:[4026531841]".
func read(path string) (ID, error) {
	link, err := os.Readlink(path)
	if err != nil {
		return 0, err
	}
	_, number, ok := strings.Cut(strings.TrimSuffix(link, "]"), ":[")
	n, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil {
		return 0, fmt.Errorf("%s: %q is no namespace", path, link)
	}
	return ID(n), nil
}

// List finds every namespace that a visible process is in, by kind, then by
// process id. A process that ends while it is read is left out.
func List() ([]Namespace, error) {
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	found := map[ID]*Namespace{}
	for _, dir := range procs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		ids, err := Of(pid)
		if err != nil { // gone, a kernel thread, or another user's
			continue
		}
		for file, id := range ids {
			n := found[id]
			if n == nil {
				n = &Namespace{ID: id, Kind: file, PID: pid}
				found[id] = n
			}
			n.Procs++
			n.PID = min(n.PID, pid)
		}
	}
	list := make([]Namespace, 0, len(found))
	for _, n := range found {
		n.describe()
		list = append(list, *n)
	}
	slices.SortFunc(list, func(a, b Namespace) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.PID, b.PID))
	})
	return list, nil
}

// describe adds what the first process and the ioctls of ioctl_nsfs(2) tell.
func (n *Namespace) describe() {
	dir := fmt.Sprintf("/proc/%d/", n.PID)
	if st, err := os.Stat(dir); err == nil {
		n.UID = int(st.Sys().(*syscall.Stat_t).Uid)
	}
	n.PPID, n.Command = parentOf(n.PID), commandOf(n.PID)
	f, err := os.Open(dir + "ns/" + n.Kind)
	if err != nil {
		return
	}
	defer f.Close()
	n.Owner = related(f, unix.NS_GET_USERNS)
	if n.Kind == "user" || n.Kind == "pid" {
		n.Parent = related(f, unix.NS_GET_PARENT)
	}
}

// related asks for the owner or the parent; EPERM: it is outside of ours.
func related(f *os.File, req uint) ID {
	fd, err := unix.IoctlRetInt(int(f.Fd()), req)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return 0
	}
	return ID(st.Ino)
}

func parentOf(pid int) int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 2 {
		return 0
	}
	ppid, _ := strconv.Atoi(fields[1])
	return ppid
}

func commandOf(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if cmd := strings.TrimSpace(strings.ReplaceAll(string(b), "\x00", " ")); cmd != "" {
		return cmd
	}
	b, _ = os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return "[" + strings.TrimSpace(string(b)) + "]"
}
