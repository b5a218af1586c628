package transfer

import (
	"context"
	"errors"
	"strings"

	transferapi "github.com/containerd/containerd/api/services/transfer/v1"
	transfertypes "github.com/containerd/containerd/api/types/transfer"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
	"github.com/slipway-engine/slipway/stages/06-manager/service"
	"github.com/slipway-engine/slipway/stages/06-manager/store"
)

// Server answers containerd.services.transfer.v1. What is moved is told by the
// types of source and destination: a registry to the image store is a pull, the
// image store to itself is a tag.
type Server struct {
	transferapi.UnimplementedTransferServer
	Store   *store.Store
	GC      *store.Collector
	Streams *Streams
}

// The types of ends that we know, by their bare names.
const (
	typeRegistry = "containerd.types.transfer.OCIRegistry"
	typeImages   = "containerd.types.transfer.ImageStore"
)

// Transfer moves an image.
func (s *Server) Transfer(ctx context.Context, r *transferapi.TransferRequest) (*emptypb.Empty, error) {
	sp, err := service.Space(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	progress := &progress{}
	if id := r.GetOptions().GetProgressStream(); id != "" {
		if progress.stream, err = s.Streams.Get(id); err != nil {
			return nil, err
		}
		defer progress.stream.Close()
	}
	from, to := Name(r.GetSource()), Name(r.GetDestination())
	switch {
	case from == typeRegistry && to == typeImages:
		err = s.pullInto(ctx, sp, r, progress)
	case from == typeImages && to == typeImages:
		err = tag(sp, r)
	default:
		err = fault.New(fault.Unimplemented, "transfer from %s to %s is not supported", from, to)
	}
	return &emptypb.Empty{}, err
}

// Name is the bare name of a message's type.
func Name(a *anypb.Any) string {
	url := a.GetTypeUrl()
	return url[strings.LastIndexByte(url, '/')+1:]
}

func (s *Server) pullInto(ctx context.Context, sp store.Space, r *transferapi.TransferRequest, progress *progress) error {
	var from transfertypes.OCIRegistry
	var to transfertypes.ImageStore
	if err := errors.Join(Unpack(r.GetSource(), &from), Unpack(r.GetDestination(), &to)); err != nil {
		return err
	}
	p := &puller{server: s, space: sp, from: &from, to: &to, progress: progress}
	return p.pull(ctx)
}

func tag(sp store.Space, r *transferapi.TransferRequest) error {
	var from, to transfertypes.ImageStore
	if err := errors.Join(Unpack(r.GetSource(), &from), Unpack(r.GetDestination(), &to)); err != nil {
		return err
	}
	img, err := sp.Image(from.GetName())
	if err != nil {
		return err
	}
	img.Name, img.Labels = to.GetName(), to.GetLabels()
	return sp.PutImage(img)
}
