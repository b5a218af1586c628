// Package criu talks to criu(8), the program that freezes processes into files and thaws them again, in the protocol of "criu
// swrk": protobuf messages over a SOCK_SEQPACKET socket, one message a packet (criu's images/rpc.proto, MIT-licensed, names
// and numbers every field; https://criu.org/RPC).
//
// Only what a container runtime asks for is here, written by hand: the messages are small, and a registry of generated types
// would cost every start of the runtime, although one in a million of them makes a checkpoint.
//
// Reading order: criu.go (the words), wire.go (how they are written), session.go (the conversation).
package criu

// Type is the kind of a request and of its response (criu_req_type).
type Type int

// What a runtime asks for, and Notify, by which criu tells where it is and waits for leave to go on.
const (
	Dump         Type = 1
	Restore      Type = 2
	PreDump      Type = 4
	Notify       Type = 6
	FeatureCheck Type = 9
	Version      Type = 10
)

func (t Type) String() string {
	switch t {
	case Dump:
		return "DUMP"
	case Restore:
		return "RESTORE"
	case PreDump:
		return "PRE_DUMP"
	case Notify:
		return "NOTIFY"
	case FeatureCheck:
		return "FEATURE_CHECK"
	case Version:
		return "VERSION"
	}
	return "EMPTY"
}

// CgroupMode says what criu does with the cgroups of the processes (criu_cg_mode; https://criu.org/CGroups).
type CgroupMode int

// The modes; DefaultCgroups leaves the choice to criu.
const (
	IgnoreCgroups  CgroupMode = 0
	SoftCgroups    CgroupMode = 3
	FullCgroups    CgroupMode = 4
	StrictCgroups  CgroupMode = 5
	DefaultCgroups CgroupMode = 6
)

// Pair is a key with its value: an external mount (point in the container, name in the images; on restore: name, source on the
// host), a cgroup root (controllers, path) or a namespace to join (kind, file).
type Pair struct{ Key, Value string }

// InheritFD gives criu a descriptor of its own in the place of one that the images know by Key.
type InheritFD struct {
	Key string
	FD  int
}

// PageServer is where memory goes instead of into files.
type PageServer struct {
	Address string
	Port    int
}

// Options are the fields of criu_opts that a runtime sets. Directory descriptors are numbers of the process that sends the
// request: criu opens them through its /proc. A descriptor of 0 and an empty string mean: not set.
type Options struct {
	ImagesDir, WorkDir int
	LogFile            string
	LogLevel           int
	Root               string // dump: of the container; restore: a mount point with the root file system
	PID                int    // dump: whose tree
	ParentImage        string // relative to the images directory
	TrackMemory        bool
	ConfigFile         string
	FreezeCgroup       string
	Cgroups            CgroupMode
	CgroupRoots        []Pair
	ExternalMounts     []Pair
	External           []string
	JoinNamespaces     []Pair
	InheritFDs         []InheritFD
	EmptyNamespaces    uint32 // CLONE_NEW* mask
	PageServer         *PageServer
	LSMProfile         string
	LSMMountContext    string

	LeaveRunning, ExternalUnixSockets, TCPEstablished, TCPSkipInFlight bool
	ShellJob, FileLocks, LinkRemap, AutoDedup, LazyPages               bool
	NotifyScripts, OrphanTerminal, EvasiveDevices, Sibling             bool
}

// Features are those of criu and the kernel that a request may need (criu_features).
type Features struct{ MemoryTracking, LazyPages bool }

// Request is a criu_req.
type Request struct {
	Type          Type
	Options       *Options  // Dump, PreDump, Restore
	Features      *Features // FeatureCheck: what is asked about
	NotifySuccess bool      // Notify: go on
}

// Response is a criu_resp.
type Response struct {
	Type     Type
	Success  bool
	Errno    int
	Message  string
	Script   string // Notify: which moment this is
	PID      int    // Notify, Restore: the first process
	Features Features
	Version  int // 31701 is 3.17.1
}
