package store

import (
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/containerd/api/events"
	contentapi "github.com/containerd/containerd/api/services/content/v1"
	"github.com/opencontainers/go-digest"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/slipway-engine/slipway/stages/03-rootfs/content"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
	"github.com/slipway-engine/slipway/stages/06-manager/meta"
)

// ContentInfo is what the namespace knows of a blob.
func (sp Space) ContentInfo(d digest.Digest) (info *contentapi.Info, err error) {
	err = sp.DB.View(sp.NS, func(tx *meta.Tx) error {
		info, err = tx.Content().Get(d.String())
		return err
	})
	return info, err
}

// ListContent visits the namespace's blobs.
func (sp Space) ListContent(fn func(*contentapi.Info) error) error {
	return sp.DB.View(sp.NS, func(tx *meta.Tx) error {
		return tx.Content().Each(func(_ string, v *contentapi.Info) error { return fn(v) })
	})
}

// LabelContent changes labels; see changeLabels for the paths.
func (sp Space) LabelContent(d digest.Digest, labels map[string]string, paths []string) (info *contentapi.Info, err error) {
	err = sp.DB.Update(sp.NS, func(tx *meta.Tx) error {
		if info, err = tx.Content().Get(d.String()); err != nil {
			return err
		}
		if info.Labels, err = changeLabels(info.Labels, labels, paths); err != nil {
			return err
		}
		info.UpdatedAt = timestamppb.New(sp.Now())
		return tx.Content().Put(d.String(), info)
	})
	return info, err
}

// DeleteContent takes the blob out of the namespace. Its bytes go when no
// namespace has it any more.
func (sp Space) DeleteContent(d digest.Digest) error {
	err := sp.DB.Update(sp.NS, func(tx *meta.Tx) error { return tx.Content().Delete(d.String()) })
	if err != nil {
		return err
	}
	sp.condemn(d)
	return errors.Join(sp.bury(), sp.publish("/content/delete", &events.ContentDelete{Digest: d.String()}))
}

// ReadContent opens a blob of this namespace.
func (sp Space) ReadContent(d digest.Digest) (content.ReaderAt, error) {
	if _, err := sp.ContentInfo(d); err != nil {
		return nil, err
	}
	r, err := sp.Blobs.ReaderAt(d)
	return r, kind(err)
}

// AdoptContent names a blob that is already on disk (another namespace brought
// it, or a pull did) in this namespace, and gives it labels.
func (sp Space) AdoptContent(d digest.Digest, labels map[string]string) error {
	return sp.DB.Update(sp.NS, func(tx *meta.Tx) error {
		blob, err := sp.Blobs.Info(d)
		if err != nil {
			return kind(err)
		}
		info, err := tx.Content().Get(d.String())
		if fault.Is(err, fault.NotFound) {
			info = sp.newInfo(d, blob.Size)
		} else if err != nil {
			return err
		}
		if info.Labels == nil {
			info.Labels = map[string]string{}
		}
		for k, v := range labels {
			info.Labels[k] = v
		}
		if err := tx.Content().Put(d.String(), info); err != nil {
			return err
		}
		return sp.hold(tx, "content", d.String())
	})
}

func (sp Space) newInfo(d digest.Digest, size int64) *contentapi.Info {
	now := timestamppb.New(sp.Now())
	return &contentapi.Info{Digest: d.String(), Size: size, CreatedAt: now, UpdatedAt: now}
}

// Writer is an ingest of this namespace.
type Writer struct {
	*content.Writer
	space Space
	ref   string
}

// Write begins or resumes an ingest. When the blob is there already it answers
// AlreadyExists, and if only another namespace had it, this one has it from now
// on: the client has proved that it knows the digest (containerd's "shared" policy).
func (sp Space) Write(ref string, total int64, expected digest.Digest) (*Writer, error) {
	if ref == "" {
		return nil, fault.New(fault.InvalidArgument, "ingest: ref is empty")
	}
	if expected != "" {
		if err := expected.Validate(); err != nil {
			return nil, fault.New(fault.InvalidArgument, "ingest %s: digest %q: %w", ref, expected, err)
		}
	}
	w, err := sp.Blobs.Writer(sp.ref(ref), total, expected)
	if errors.Is(err, content.ErrExists) {
		if adopt := sp.AdoptContent(expected, nil); adopt != nil {
			return nil, adopt
		}
	}
	if err != nil {
		return nil, kind(err)
	}
	return &Writer{Writer: w, space: sp, ref: ref}, nil
}

// Commit publishes the blob and names it, in that order, inside the one write
// transaction: the collector cannot run between the two.
func (w *Writer) Commit(size int64, expected digest.Digest, labels map[string]string) (digest.Digest, error) {
	if err := meta.ValidLabels(labels); err != nil {
		return "", err
	}
	sp, length := w.space, w.Status().Offset
	var d digest.Digest
	err := sp.DB.Update(sp.NS, func(tx *meta.Tx) error {
		var err error
		//ex:begin mgr.store
		// The name becomes durable when this function has returned, so after a
		// kill -9 there may be bytes without a name and never a name without bytes:
		// every later pull would believe it and skip the download. That the bytes
		// are there already is no failure: another namespace brought them.
		d, err = w.Writer.Commit(size, expected)
		if err != nil && !errors.Is(err, content.ErrExists) {
			return kind(err)
		}
		if tx.Content().Has(d.String()) {
			return fault.New(fault.AlreadyExists, "content %s: already exists", d)
		}
		info := sp.newInfo(d, length)
		info.Labels = labels
		if err := tx.Content().Create(d.String(), info); err != nil {
			return err
		}
		return sp.hold(tx, "content", d.String())
		//ex:stub
		// _, _ = tx, err
		// return todo.Exercise("mgr.store")
		//ex:end mgr.store
	})
	if err != nil {
		return d, err
	}
	return d, sp.publish("/content/create", &events.ContentCreate{Digest: d.String(), Size: length})
}

// IngestStatus tells how far an ingest is.
func (sp Space) IngestStatus(ref string) (content.Status, error) {
	st, err := sp.Blobs.Status(sp.ref(ref))
	st.Ref = ref
	return st, kind(err)
}

// Ingests lists those of this namespace.
func (sp Space) Ingests() ([]content.Status, error) {
	all, err := sp.Blobs.Statuses()
	if err != nil {
		return nil, kind(err)
	}
	var mine []content.Status
	for _, st := range all {
		if ref, ok := strings.CutPrefix(st.Ref, sp.ref("")); ok {
			st.Ref = ref
			mine = append(mine, st)
		}
	}
	return mine, nil
}

// AbortIngest throws an ingest away.
func (sp Space) AbortIngest(ref string) error { return kind(sp.Blobs.Abort(sp.ref(ref))) }

// ref is the content store's name for a namespace's ingest.
func (sp Space) ref(ref string) string { return fmt.Sprintf("%s/%s", sp.NS, ref) }
