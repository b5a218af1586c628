package snapshot

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// The kinds of error, for errors.Is. They come wrapped with the key.
var (
	ErrNotFound = errors.New("snapshot not found")
	ErrExists   = errors.New("snapshot already exists")
	ErrInvalid  = errors.New("invalid for this snapshot") // wrong kind, still has children, unknown field
	ErrLocked   = errors.New("snapshot directory is in use by another process")
)

// Kind tells what may be done with a snapshot.
type Kind uint8

// The kinds, in the order of containerd's API.
const (
	KindUnknown Kind = iota
	View             // mounted read-only; can only be removed
	Active           // mounted read-write; can be committed or removed
	Committed        // never changes again; others may have it as parent
)

// String gives containerd's name of the kind.
func (k Kind) String() string {
	names := [...]string{"Unknown", "View", "Active", "Committed"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Info is what a Snapshotter knows of a snapshot.
type Info struct {
	Kind    Kind
	Name    string // the key of a View or Active one, the name of a Committed one; any bytes
	Parent  string // the name of a Committed one, or "" for none
	Labels  map[string]string
	Created time.Time
	Updated time.Time
}

// Usage is what a snapshot takes on disk, without its parents.
type Usage struct {
	Size   int64 // bytes, in whole blocks
	Inodes int64
}

// Mount is one mount(2) that is needed to see a snapshot. Mounts are made in order, each on Target below the mount point.
type Mount struct {
	Type    string // "bind", "overlay"
	Source  string
	Target  string // relative to the mount point; "" is the mount point itself
	Options []string
}

// The labels, containerd's own, that ask for a snapshot whose files belong to a container's user namespace. A value is
// CONTAINER:HOST:SIZE, or several with commas: files that the snapshot keeps as CONTAINER's are seen as HOST's.
const (
	LabelUIDMap = "containerd.io/snapshot/uidmapping"
	LabelGIDMap = "containerd.io/snapshot/gidmapping"
)

// LabelTransient marks a snapshot that means nothing without the process that makes it: one in which a layer is being unpacked. When the
// process is killed, the next one to open the directory removes it. Commit drops the label with all others.
const LabelTransient = "io.slipway.transient"

// Snapshotter makes root file systems out of layers. The package documentation walks through it.
type Snapshotter interface {
	// Stat tells about any snapshot, by key or by name.
	Stat(ctx context.Context, key string) (Info, error)

	// Update changes the labels: all of them when no field path is given or with "labels", one with "labels.KEY"
	// (an empty value removes it). Nothing else can change.
	Update(ctx context.Context, info Info, fieldpaths ...string) (Info, error)

	// Usage tells what the snapshot takes, without its parents.
	Usage(ctx context.Context, key string) (Usage, error)

	// Mounts gives the mounts of a View or Active snapshot again.
	Mounts(ctx context.Context, key string) ([]Mount, error)

	// Prepare makes an Active snapshot on top of a Committed one, or on nothing when parent is "".
	Prepare(ctx context.Context, key, parent string, labels map[string]string) ([]Mount, error)

	// View is like Prepare, but read-only.
	View(ctx context.Context, key, parent string, labels map[string]string) ([]Mount, error)

	// Commit turns the Active snapshot key into the Committed one name; key is free again.
	Commit(ctx context.Context, name, key string, labels map[string]string) error

	// Remove deletes a snapshot. One that is still a parent is ErrInvalid.
	Remove(ctx context.Context, key string) error

	// Walk calls fn for each snapshot, parents before their children. It stops at the first error.
	Walk(ctx context.Context, fn func(Info) error) error

	// Close releases the directory. The snapshots stay.
	Close() error
}

// Rebaser is what a Snapshotter also is when the content of a snapshot does not depend on that of its parent, so
// that all layers of an image can be unpacked at once: each is prepared on nothing and gets its parent at commit.
type Rebaser interface {
	// CommitOn is Commit that also sets the parent. The Active snapshot must have none, the new parent be Committed.
	CommitOn(ctx context.Context, name, key, parent string, labels map[string]string) error
}
