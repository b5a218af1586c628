package enter

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Options are a mount's option words, sorted into what the kernel takes them as.
type Options struct {
	Flags       uintptr   // MS_* to set
	Clear       uintptr   // MS_* to leave out
	Propagation []uintptr // MS_SHARED and so on, with MS_REC, in order
	RecSet      uint64    // MOUNT_ATTR_* for the whole tree (mount_setattr(2), AT_RECURSIVE)
	RecClear    uint64
	Data        string // for the file system itself
	CopyUp      bool   // tmpcopyup: the tmpfs starts with the directory's content
	IDMap       string // "idmap" or "ridmap"
}

// Bind tells whether the mount shows an existing tree instead of a new file system.
func (o Options) Bind() bool { return o.Flags&unix.MS_BIND != 0 }

// flagWord is what one option word does to the flags of mount(2).
type flagWord struct {
	word       string
	set, clear uintptr
}

const noatime, relatime, strict = unix.MS_NOATIME, unix.MS_RELATIME, unix.MS_STRICTATIME

// flagWords are the options of runtime-spec's config.md, "Linux mount options", that are flags of mount(2). A mount keeps access times
// in one of three ways, so the word for one takes back that for another: the kernel would take strictatime whatever comes last.
var flagWords = []flagWord{
	{word: "async", clear: unix.MS_SYNCHRONOUS},
	{word: "atime", clear: noatime},
	{word: "bind", set: unix.MS_BIND},
	{word: "defaults"},
	{word: "dev", clear: unix.MS_NODEV},
	{word: "diratime", clear: unix.MS_NODIRATIME},
	{word: "dirsync", set: unix.MS_DIRSYNC},
	{word: "exec", clear: unix.MS_NOEXEC},
	{word: "iversion", set: unix.MS_I_VERSION},
	{word: "lazytime", set: unix.MS_LAZYTIME},
	{word: "loud", clear: unix.MS_SILENT},
	{word: "mand", set: unix.MS_MANDLOCK},
	{word: "noatime", set: noatime, clear: strict | relatime},
	{word: "nodev", set: unix.MS_NODEV},
	{word: "nodiratime", set: unix.MS_NODIRATIME},
	{word: "noexec", set: unix.MS_NOEXEC},
	{word: "noiversion", clear: unix.MS_I_VERSION},
	{word: "nolazytime", clear: unix.MS_LAZYTIME},
	{word: "nomand", clear: unix.MS_MANDLOCK},
	{word: "norelatime", clear: relatime},
	{word: "nostrictatime", clear: strict},
	{word: "nosuid", set: unix.MS_NOSUID},
	{word: "nosymfollow", set: unix.MS_NOSYMFOLLOW},
	{word: "rbind", set: unix.MS_BIND | unix.MS_REC},
	{word: "relatime", set: relatime, clear: noatime | strict},
	{word: "remount", set: unix.MS_REMOUNT},
	{word: "ro", set: unix.MS_RDONLY},
	{word: "rw", clear: unix.MS_RDONLY},
	{word: "silent", set: unix.MS_SILENT},
	{word: "strictatime", set: strict, clear: noatime | relatime},
	{word: "suid", clear: unix.MS_NOSUID},
	{word: "symfollow", clear: unix.MS_NOSYMFOLLOW},
	{word: "sync", set: unix.MS_SYNCHRONOUS},
}

// Propagation returns the flags of a propagation word (mount_namespaces(7)), or 0.
func Propagation(word string) uintptr {
	switch word {
	case "private":
		return unix.MS_PRIVATE
	case "rprivate":
		return unix.MS_PRIVATE | unix.MS_REC
	case "slave":
		return unix.MS_SLAVE
	case "rslave":
		return unix.MS_SLAVE | unix.MS_REC
	case "shared":
		return unix.MS_SHARED
	case "rshared":
		return unix.MS_SHARED | unix.MS_REC
	case "unbindable":
		return unix.MS_UNBINDABLE
	case "runbindable":
		return unix.MS_UNBINDABLE | unix.MS_REC
	}
	return 0
}

// treeWord is what one option word does to the attributes of a whole tree.
type treeWord struct {
	word       string
	set, clear uint64
}

var treeWords = []treeWord{
	{word: "rro", set: unix.MOUNT_ATTR_RDONLY},
	{word: "rrw", clear: unix.MOUNT_ATTR_RDONLY},
	{word: "rnosuid", set: unix.MOUNT_ATTR_NOSUID},
	{word: "rsuid", clear: unix.MOUNT_ATTR_NOSUID},
	{word: "rnodev", set: unix.MOUNT_ATTR_NODEV},
	{word: "rdev", clear: unix.MOUNT_ATTR_NODEV},
	{word: "rnoexec", set: unix.MOUNT_ATTR_NOEXEC},
	{word: "rexec", clear: unix.MOUNT_ATTR_NOEXEC},
	{word: "rnodiratime", set: unix.MOUNT_ATTR_NODIRATIME},
	{word: "rdiratime", clear: unix.MOUNT_ATTR_NODIRATIME},
	{word: "rrelatime", clear: unix.MOUNT_ATTR__ATIME},
	{word: "rnorelatime"},
	{word: "rnoatime", set: unix.MOUNT_ATTR_NOATIME, clear: unix.MOUNT_ATTR__ATIME},
	{word: "ratime", clear: unix.MOUNT_ATTR__ATIME},
	{word: "rstrictatime", set: unix.MOUNT_ATTR_STRICTATIME, clear: unix.MOUNT_ATTR__ATIME},
	{word: "rnostrictatime", clear: unix.MOUNT_ATTR__ATIME},
	{word: "rnosymfollow", set: unix.MOUNT_ATTR_NOSYMFOLLOW},
	{word: "rsymfollow", clear: unix.MOUNT_ATTR_NOSYMFOLLOW},
}

// ParseOptions sorts option words. A word that it does not know is the file system's own, as in mount(8).
func ParseOptions(list []string) Options {
	var o Options
	var data []string
	for _, w := range list {
		if f := slices.IndexFunc(flagWords, func(f flagWord) bool { return f.word == w }); f >= 0 {
			f := flagWords[f]
			o.Flags, o.Clear = o.Flags&^f.clear|f.set, o.Clear&^f.set|f.clear
		} else if p := Propagation(w); p != 0 {
			o.Propagation = append(o.Propagation, p)
		} else if a := slices.IndexFunc(treeWords, func(a treeWord) bool { return a.word == w }); a >= 0 {
			a := treeWords[a]
			o.RecSet, o.RecClear = o.RecSet&^a.clear|a.set, o.RecClear&^a.set|a.clear
		} else if w == "tmpcopyup" {
			o.CopyUp = true
		} else if w == "idmap" || w == "ridmap" {
			o.IDMap = w
		} else {
			data = append(data, w)
		}
	}
	o.Data = strings.Join(data, ",")
	return o
}

// OptionWords lists every word that ParseOptions takes for itself.
func OptionWords() []string {
	list := []string{"tmpcopyup", "idmap", "ridmap", "private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable", "runbindable"}
	for _, f := range flagWords {
		list = append(list, f.word)
	}
	for _, a := range treeWords {
		list = append(list, a.word)
	}
	return list
}

// attributes are the flags that a bind can have of its own, as mount_setattr(2) takes them. As soon as one says how access times
// are kept, all do, as with mount(2).
func attributes(flags uintptr) (set, clear uint64) {
	for _, f := range [...]struct {
		ms   uintptr
		attr uint64
	}{
		{unix.MS_RDONLY, unix.MOUNT_ATTR_RDONLY},
		{unix.MS_NOSUID, unix.MOUNT_ATTR_NOSUID},
		{unix.MS_NODEV, unix.MOUNT_ATTR_NODEV},
		{unix.MS_NOEXEC, unix.MOUNT_ATTR_NOEXEC},
		{unix.MS_NODIRATIME, unix.MOUNT_ATTR_NODIRATIME},
		{unix.MS_NOSYMFOLLOW, unix.MOUNT_ATTR_NOSYMFOLLOW},
	} {
		if flags&f.ms != 0 {
			set |= f.attr
		}
	}
	const times = unix.MS_NOATIME | unix.MS_NODIRATIME | unix.MS_RELATIME | unix.MS_STRICTATIME
	if flags&times == 0 {
		return set, 0 // kept as they are (mount(2), MS_REMOUNT)
	}
	clear = unix.MOUNT_ATTR__ATIME
	if flags&unix.MS_NODIRATIME == 0 {
		clear |= unix.MOUNT_ATTR_NODIRATIME
	}
	switch {
	case flags&unix.MS_STRICTATIME != 0:
		set |= unix.MOUNT_ATTR_STRICTATIME
	case flags&unix.MS_NOATIME != 0:
		set |= unix.MOUNT_ATTR_NOATIME
	}
	return set, clear // otherwise relatime, which is 0
}
