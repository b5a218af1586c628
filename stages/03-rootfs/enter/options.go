package enter

import (
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

// word is what one option word does.
type word struct {
	set, clear uintptr
}

// words are the options of runtime-spec's config.md, "Linux mount options", that are flags of mount(2). A mount keeps access times in
// one of three ways, so the word for one takes back that for another: the kernel would take strictatime whatever comes last.
func words() map[string]word {
	const noatime, relatime, strict = unix.MS_NOATIME, unix.MS_RELATIME, unix.MS_STRICTATIME
	return map[string]word{
		"async": {clear: unix.MS_SYNCHRONOUS}, "atime": {clear: noatime}, "bind": {set: unix.MS_BIND}, "defaults": {},
		"dev": {clear: unix.MS_NODEV}, "diratime": {clear: unix.MS_NODIRATIME}, "dirsync": {set: unix.MS_DIRSYNC},
		"exec": {clear: unix.MS_NOEXEC}, "iversion": {set: unix.MS_I_VERSION}, "lazytime": {set: unix.MS_LAZYTIME},
		"loud": {clear: unix.MS_SILENT}, "mand": {set: unix.MS_MANDLOCK}, "noatime": {set: noatime, clear: strict | relatime},
		"nodev": {set: unix.MS_NODEV}, "nodiratime": {set: unix.MS_NODIRATIME}, "noexec": {set: unix.MS_NOEXEC},
		"noiversion": {clear: unix.MS_I_VERSION}, "nolazytime": {clear: unix.MS_LAZYTIME}, "nomand": {clear: unix.MS_MANDLOCK},
		"norelatime": {clear: relatime}, "nostrictatime": {clear: strict}, "nosuid": {set: unix.MS_NOSUID},
		"nosymfollow": {set: unix.MS_NOSYMFOLLOW}, "rbind": {set: unix.MS_BIND | unix.MS_REC}, "relatime": {set: relatime, clear: noatime | strict},
		"remount": {set: unix.MS_REMOUNT}, "ro": {set: unix.MS_RDONLY}, "rw": {clear: unix.MS_RDONLY}, "silent": {set: unix.MS_SILENT},
		"strictatime": {set: strict, clear: noatime | relatime}, "suid": {clear: unix.MS_NOSUID}, "symfollow": {clear: unix.MS_NOSYMFOLLOW},
		"sync": {set: unix.MS_SYNCHRONOUS},
	}
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

// attrs are the words that hold for a whole tree.
type attr struct{ set, clear uint64 }

func recursive() map[string]attr {
	return map[string]attr{
		"rro": {set: unix.MOUNT_ATTR_RDONLY}, "rrw": {clear: unix.MOUNT_ATTR_RDONLY},
		"rnosuid": {set: unix.MOUNT_ATTR_NOSUID}, "rsuid": {clear: unix.MOUNT_ATTR_NOSUID},
		"rnodev": {set: unix.MOUNT_ATTR_NODEV}, "rdev": {clear: unix.MOUNT_ATTR_NODEV},
		"rnoexec": {set: unix.MOUNT_ATTR_NOEXEC}, "rexec": {clear: unix.MOUNT_ATTR_NOEXEC},
		"rnodiratime": {set: unix.MOUNT_ATTR_NODIRATIME}, "rdiratime": {clear: unix.MOUNT_ATTR_NODIRATIME},
		"rrelatime": {clear: unix.MOUNT_ATTR__ATIME}, "rnorelatime": {},
		"rnoatime":       {set: unix.MOUNT_ATTR_NOATIME, clear: unix.MOUNT_ATTR__ATIME},
		"ratime":         {clear: unix.MOUNT_ATTR__ATIME},
		"rstrictatime":   {set: unix.MOUNT_ATTR_STRICTATIME, clear: unix.MOUNT_ATTR__ATIME},
		"rnostrictatime": {clear: unix.MOUNT_ATTR__ATIME},
		"rnosymfollow":   {set: unix.MOUNT_ATTR_NOSYMFOLLOW}, "rsymfollow": {clear: unix.MOUNT_ATTR_NOSYMFOLLOW},
	}
}

// ParseOptions sorts option words. A word that it does not know is the file system's own, as in mount(8).
func ParseOptions(list []string) Options {
	var o Options
	var data []string
	flags, rec := words(), recursive()
	for _, w := range list {
		if f, ok := flags[w]; ok {
			o.Flags, o.Clear = o.Flags&^f.clear|f.set, o.Clear&^f.set|f.clear
		} else if p := Propagation(w); p != 0 {
			o.Propagation = append(o.Propagation, p)
		} else if a, ok := rec[w]; ok {
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
	for w := range words() {
		list = append(list, w)
	}
	for w := range recursive() {
		list = append(list, w)
	}
	return list
}

// attributes are the flags that a bind can have of its own, as mount_setattr(2) takes them. As soon as one says how access times
// are kept, all do, as with mount(2).
func attributes(flags uintptr) (set, clear uint64) {
	for ms, attr := range map[uintptr]uint64{
		unix.MS_RDONLY: unix.MOUNT_ATTR_RDONLY, unix.MS_NOSUID: unix.MOUNT_ATTR_NOSUID, unix.MS_NODEV: unix.MOUNT_ATTR_NODEV,
		unix.MS_NOEXEC: unix.MOUNT_ATTR_NOEXEC, unix.MS_NODIRATIME: unix.MOUNT_ATTR_NODIRATIME, unix.MS_NOSYMFOLLOW: unix.MOUNT_ATTR_NOSYMFOLLOW,
	} {
		if flags&ms != 0 {
			set |= attr
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
