package namespace

import (
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// addRelatives asks each namespace for its owner and, of those that form a tree, for its parent (ioctl_nsfs(2)), and adds those
// that nobody is in.
func addRelatives(found map[ID]*Namespace) {
	known := make([]*Namespace, 0, len(found))
	for _, n := range found {
		known = append(known, n)
	}
	for _, n := range known {
		f, err := os.Open(n.Path)
		if err != nil { // its process has gone
			continue
		}
		n.ask(f, found)
	}
}

// ask closes f.
func (n *Namespace) ask(f *os.File, found map[ID]*Namespace) {
	defer f.Close()
	n.Owner = relative(f, unix.NS_GET_USERNS, "user", found)
	if n.Kind == "user" || n.Kind == "pid" {
		n.Parent = relative(f, unix.NS_GET_PARENT, n.Kind, found)
	}
	if uid, err := ownerUID(f); n.Kind == "user" && n.PID == 0 && err == nil {
		n.UID = uid
	}
}

// relative is the owner or the parent of f. EPERM: it is outside of ours.
func relative(f *os.File, request uint, kind string, found map[ID]*Namespace) ID {
	fd, err := unix.IoctlRetInt(int(f.Fd()), request)
	if err != nil {
		return 0
	}
	other := os.NewFile(uintptr(fd), kind)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		_ = other.Close()
		return 0
	}
	id := ID(st.Ino)
	if found[id] != nil {
		_ = other.Close()
		return id
	}
	found[id] = &Namespace{ID: id, Kind: kind}
	found[id].ask(other, found)
	return id
}

// ownerUID is NS_GET_OWNER_UID: who made a user namespace.
func ownerUID(f *os.File) (int, error) {
	uid, err := unix.IoctlGetUint32(int(f.Fd()), unix.NS_GET_OWNER_UID)
	return int(uid), err
}

// Children sorts the list into a tree: of each namespace, by above, those below it, and under 0 those with nothing above them in
// the list.
func Children(list []Namespace, above func(Namespace) ID) map[ID][]Namespace {
	tree := map[ID][]Namespace{}
	for _, n := range list {
		up := above(n)
		if up == n.ID || !slices.ContainsFunc(list, func(o Namespace) bool { return o.ID == up }) {
			up = 0
		}
		tree[up] = append(tree[up], n)
	}
	return tree
}
