package store

import (
	"github.com/containerd/containerd/api/events"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
	"github.com/slipway-engine/slipway/stages/06-manager/meta"
)

// Image finds a name.
func (sp Space) Image(name string) (img *imagesapi.Image, err error) {
	err = sp.DB.View(sp.NS, func(tx *meta.Tx) error {
		img, err = tx.Images().Get(name)
		return err
	})
	return img, err
}

// PutImage makes a name stand for a target, whether it is new or moves.
func (sp Space) PutImage(img *imagesapi.Image) error {
	now := timestamppb.New(sp.Now())
	img.CreatedAt, img.UpdatedAt = now, now
	moved := false
	err := sp.DB.Update(sp.NS, func(tx *meta.Tx) error {
		old, err := tx.Images().Get(img.GetName())
		switch {
		case err == nil:
			img.CreatedAt, moved = old.GetCreatedAt(), true
		case !fault.Is(err, fault.NotFound):
			return err
		}
		return tx.Images().Put(img.GetName(), img)
	})
	if err != nil {
		return err
	}
	if moved {
		return sp.publish("/images/update", &events.ImageUpdate{Name: img.GetName(), Labels: img.GetLabels()})
	}
	return sp.publish("/images/create", &events.ImageCreate{Name: img.GetName(), Labels: img.GetLabels()})
}

// TempLease makes a lease for one piece of work and returns the view that adds
// to it. It expires, so that a crash does not keep things for ever.
func (sp Space) TempLease(id, expires string) (Space, error) {
	sp.Lease = id
	return sp, sp.DB.Update(sp.NS, func(tx *meta.Tx) error {
		return tx.Leases().Create(id, meta.Lease{ID: id, Created: sp.Now(), Labels: map[string]string{labelExpire: expires}})
	})
}

// EndLease lets go of what a lease held.
func (sp Space) EndLease() error {
	return sp.DB.Update(sp.NS, func(tx *meta.Tx) error { return tx.Leases().Delete(sp.Lease) })
}
