package meta

import (
	"time"

	"github.com/containerd/containerd/api/services/containers/v1"
	"github.com/containerd/containerd/api/services/content/v1"
	"github.com/containerd/containerd/api/services/images/v1"
	bolt "go.etcd.io/bbolt"
)

// Tx is one namespace inside one transaction.
type Tx struct {
	ns  string
	bkt *bolt.Bucket // nil in a read transaction when the namespace does not exist
}

// Snapshot is a namespace's own name for a snapshot of the backend. Two
// namespaces may both have a snapshot "web"; their backend names differ.
type Snapshot struct {
	Name    string            `json:"name"`
	Parent  string            `json:"parent,omitempty"` // a name in the same namespace
	Backend string            `json:"backend"`          // the snapshotter's name for it
	Labels  map[string]string `json:"labels,omitempty"`
	Created time.Time         `json:"created"`
	Updated time.Time         `json:"updated"`
}

// Lease keeps resources alive that nothing else refers to yet: a pull holds one
// until the image record exists.
type Lease struct {
	ID        string            `json:"id"`
	Created   time.Time         `json:"created"`
	Labels    map[string]string `json:"labels,omitempty"`
	Resources []Resource        `json:"resources,omitempty"`
}

// Resource names what a lease holds: Type is "content", "ingests" or
// "snapshots/NAME-OF-SNAPSHOTTER", ID a digest, a ref or a key.
type Resource struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// The kinds of buckets in a namespace.
const (
	bucketLabels     = "labels"
	bucketImages     = "images"
	bucketContainers = "containers"
	bucketContent    = "content"
	bucketSnapshots  = "snapshots"
	bucketLeases     = "leases"
)

// Namespace is the name of the transaction's namespace.
func (tx *Tx) Namespace() string { return tx.ns }

// Labels of the namespace itself.
func (tx *Tx) Labels() Table[string] {
	return Table[string]{kind: "namespace label", parent: tx.bkt, path: bucketLabels, codec: textCodec{}}
}

// Images by name. The published message is the record: there is no second schema.
func (tx *Tx) Images() Table[*images.Image] {
	return Table[*images.Image]{
		kind: "image", parent: tx.bkt, path: bucketImages,
		codec: protoCodec[images.Image, *images.Image]{},
	}
}

// Containers by id.
func (tx *Tx) Containers() Table[*containers.Container] {
	return Table[*containers.Container]{
		kind: "container", parent: tx.bkt, path: bucketContainers,
		codec: protoCodec[containers.Container, *containers.Container]{},
	}
}

// Content by digest: which blobs this namespace may see, and their labels.
func (tx *Tx) Content() Table[*content.Info] {
	return Table[*content.Info]{
		kind: "content", parent: tx.bkt, path: bucketContent,
		codec: protoCodec[content.Info, *content.Info]{},
	}
}

// Snapshots of one snapshotter by key.
func (tx *Tx) Snapshots(snapshotter string) Table[Snapshot] {
	return Table[Snapshot]{
		kind: "snapshot", parent: tx.bkt, path: bucketSnapshots + "/" + snapshotter,
		codec: jsonCodec[Snapshot]{},
	}
}

// Leases by id.
func (tx *Tx) Leases() Table[Lease] {
	return Table[Lease]{kind: "lease", parent: tx.bkt, path: bucketLeases, codec: jsonCodec[Lease]{}}
}

// Snapshotters lists those that have records in this namespace.
func (tx *Tx) Snapshotters() []string {
	if tx.bkt == nil {
		return nil
	}
	var names []string
	if b := tx.bkt.Bucket([]byte(bucketSnapshots)); b != nil {
		_ = b.ForEachBucket(func(k []byte) error { // the callback never fails
			names = append(names, string(k))
			return nil
		})
	}
	return names
}

// occupied names a kind of record the namespace still holds, or "".
func (tx *Tx) occupied() string {
	kinds := []string{bucketImages, bucketContainers, bucketContent, bucketLeases}
	for _, s := range tx.Snapshotters() {
		kinds = append(kinds, bucketSnapshots+"/"+s)
	}
	for _, kind := range kinds {
		t := Table[string]{parent: tx.bkt, path: kind}
		if b := t.bucket(); b != nil {
			if k, _ := b.Cursor().First(); k != nil {
				return kind
			}
		}
	}
	return ""
}
