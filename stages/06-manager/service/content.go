package service

import (
	"context"
	"errors"
	"io"

	api "github.com/containerd/containerd/api/services/content/v1"
	"github.com/opencontainers/go-digest"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/slipway-engine/slipway/stages/03-rootfs/content"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
	"github.com/slipway-engine/slipway/stages/06-manager/filter"
	"github.com/slipway-engine/slipway/stages/06-manager/store"
)

// Content answers containerd.services.content.v1: blobs by digest. Writing is in
// ingest.go.
type Content struct {
	api.UnimplementedContentServer
	Store *store.Store
	GC    *store.Collector
}

// chunk is how much of a blob one message carries.
const chunk = 1 << 20

// Info tells about a blob.
func (s *Content) Info(ctx context.Context, r *api.InfoRequest) (*api.InfoResponse, error) {
	sp, d, err := s.blob(ctx, r.GetDigest())
	if err != nil {
		return nil, err
	}
	info, err := sp.ContentInfo(d)
	return &api.InfoResponse{Info: info}, err
}

// blob checks a digest before it is used for anything.
func (s *Content) blob(ctx context.Context, text string) (store.Space, digest.Digest, error) {
	sp, err := Space(ctx, s.Store)
	if err != nil {
		return sp, "", err
	}
	d, err := digest.Parse(text)
	if err != nil {
		return sp, "", fault.New(fault.InvalidArgument, "digest %q: %w", text, err)
	}
	return sp, d, nil
}

// Update changes labels.
func (s *Content) Update(ctx context.Context, r *api.UpdateRequest) (*api.UpdateResponse, error) {
	sp, d, err := s.blob(ctx, r.GetInfo().GetDigest())
	if err != nil {
		return nil, err
	}
	info, err := sp.LabelContent(d, r.GetInfo().GetLabels(), r.GetUpdateMask().GetPaths())
	return &api.UpdateResponse{Info: info}, err
}

// List sends the blobs that match, a hundred a message.
func (s *Content) List(r *api.ListContentRequest, out api.Content_ListServer) error {
	sp, err := Space(out.Context(), s.Store)
	if err != nil {
		return err
	}
	want, err := filter.Parse(r.GetFilters()...)
	if err != nil {
		return err
	}
	var found []*api.Info
	err = sp.ListContent(func(i *api.Info) error {
		if want.Match(filter.Map(map[string]string{"digest": i.GetDigest()}, i.GetLabels())) {
			found = append(found, i)
		}
		return nil
	})
	for len(found) > 0 && err == nil {
		n := min(len(found), 100)
		err = out.Send(&api.ListContentResponse{Info: found[:n]})
		found = found[n:]
	}
	return err
}

// Delete takes a blob out of the namespace.
func (s *Content) Delete(ctx context.Context, r *api.DeleteContentRequest) (*emptypb.Empty, error) {
	sp, d, err := s.blob(ctx, r.GetDigest())
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, collect(ctx, s.GC, false, sp.DeleteContent(d))
}

// Read sends a part of a blob; size 0 means to the end.
func (s *Content) Read(r *api.ReadContentRequest, out api.Content_ReadServer) error {
	sp, d, err := s.blob(out.Context(), r.GetDigest())
	if err != nil {
		return err
	}
	blob, err := sp.ReadContent(d)
	if err != nil {
		return err
	}
	defer blob.Close()
	offset, size := r.GetOffset(), r.GetSize()
	if offset < 0 || size < 0 || offset > blob.Size() || size > blob.Size()-offset {
		return fault.New(fault.InvalidArgument, "content %s: %d bytes at %d of %d", d, size, offset, blob.Size())
	}
	if size == 0 {
		size = blob.Size() - offset
	}
	part := io.NewSectionReader(blob, offset, size)
	buf := make([]byte, chunk)
	for {
		n, err := part.Read(buf)
		if n > 0 {
			if err := out.Send(&api.ReadContentResponse{Offset: offset, Data: buf[:n]}); err != nil {
				return err
			}
			offset += int64(n)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Status tells how far an ingest is.
func (s *Content) Status(ctx context.Context, r *api.StatusRequest) (*api.StatusResponse, error) {
	sp, err := Space(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	st, err := sp.IngestStatus(r.GetRef())
	return &api.StatusResponse{Status: toStatus(st)}, err
}

func toStatus(st content.Status) *api.Status {
	return &api.Status{
		StartedAt: timestamppb.New(st.StartedAt), UpdatedAt: timestamppb.New(st.UpdatedAt),
		Ref: st.Ref, Offset: st.Offset, Total: st.Total, Expected: st.Expected.String(),
	}
}

// ListStatuses tells about the ingests that match.
func (s *Content) ListStatuses(ctx context.Context, r *api.ListStatusesRequest) (*api.ListStatusesResponse, error) {
	sp, err := Space(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	want, err := filter.Parse(r.GetFilters()...)
	if err != nil {
		return nil, err
	}
	all, err := sp.Ingests()
	resp := &api.ListStatusesResponse{}
	for _, st := range all {
		if want.Match(filter.Map(map[string]string{"ref": st.Ref}, nil)) {
			resp.Statuses = append(resp.Statuses, toStatus(st))
		}
	}
	return resp, err
}

// Abort throws an ingest away.
func (s *Content) Abort(ctx context.Context, r *api.AbortRequest) (*emptypb.Empty, error) {
	sp, err := Space(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, sp.AbortIngest(r.GetRef())
}

// sectionOf reads a blob from its beginning.
func sectionOf(blob content.ReaderAt) io.Reader { return io.NewSectionReader(blob, 0, blob.Size()) }
