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
)

// Namespace is one that exists, seen through the processes in it, through a file that keeps it, or through another one that it
// owns or is the parent of.
type Namespace struct {
	ID      ID       `json:"ns"`
	Kind    string   `json:"type"`   // "mnt", as lsns(8) prints it
	Path    string   `json:"path"`   // a file that refers to it; empty: only another namespace does
	Procs   int      `json:"nprocs"` // processes in it
	PID     int      `json:"pid"`    // the lowest of them; 0: none
	PPID    int      `json:"ppid"`
	UID     int      `json:"uid"` // of that process; of a user namespace without processes, of whoever made it
	Command string   `json:"command"`
	KeptAt  []string `json:"nsfs,omitempty"` // bind mounts that hold it in this mount namespace
	Owner   ID       `json:"owner"`          // the user namespace that owns it; 0: not visible from here
	Parent  ID       `json:"parent"`         // of a user or pid namespace; 0: none, or not visible
	Members []int    `json:"-"`              // process ids, ascending
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

// List finds the namespaces that a visible process is in, that a bind mount here keeps, and the owners and parents of those, by
// number. A process that ends while it is read is left out.
func List() ([]Namespace, error) {
	found, err := withProcesses()
	if err != nil {
		return nil, err
	}
	if err := addKept(found); err != nil {
		return nil, err
	}
	addRelatives(found)
	list := make([]Namespace, 0, len(found))
	for _, n := range found {
		n.describe()
		list = append(list, *n)
	}
	slices.SortFunc(list, func(a, b Namespace) int { return cmp.Compare(a.ID, b.ID) })
	return list, nil
}

// withProcesses are the namespaces of all processes that can be looked at.
func withProcesses() (map[ID]*Namespace, error) {
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	found := map[ID]*Namespace{}
	for _, dir := range procs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		ids, err := Of(pid)
		if err != nil { // gone, or another user's
			continue
		}
		for file, id := range ids {
			if found[id] == nil {
				found[id] = &Namespace{ID: id, Kind: file}
			}
			found[id].Members = append(found[id].Members, pid)
		}
	}
	for _, n := range found {
		slices.Sort(n.Members)
		n.Procs, n.PID = len(n.Members), n.Members[0]
		n.Path = fmt.Sprintf("/proc/%d/ns/%s", n.PID, n.Kind)
	}
	return found, nil
}

// describe adds what the first process tells.
func (n *Namespace) describe() {
	if n.PID == 0 {
		return
	}
	if st, err := os.Stat(fmt.Sprintf("/proc/%d/", n.PID)); err == nil {
		n.UID = int(st.Sys().(*syscall.Stat_t).Uid)
	}
	n.PPID, n.Command = ParentOf(n.PID), CommandOf(n.PID)
}

// ParentOf is the parent of a process; 0: none that is visible, or it has gone.
func ParentOf(pid int) int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 2 {
		return 0
	}
	ppid, _ := strconv.Atoi(fields[1])
	return ppid
}

// CommandOf is the command line of a process; of one that has none, its name in brackets.
func CommandOf(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if cmd := strings.TrimSpace(strings.ReplaceAll(string(b), "\x00", " ")); cmd != "" {
		return cmd
	}
	b, _ = os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return "[" + strings.TrimSpace(string(b)) + "]"
}
