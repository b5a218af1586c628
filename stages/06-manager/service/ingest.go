package service

import (
	"errors"
	"io"

	api "github.com/containerd/containerd/api/services/content/v1"
	"github.com/opencontainers/go-digest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/slipway-engine/slipway/stages/06-manager/store"
)

// Write is a conversation about one ingest: the first message names it, each is
// answered with how far it is, and the one that says COMMIT ends it. When the
// client goes away, what was written stays and can be resumed.
func (s *Content) Write(stream api.Content_WriteServer) (err error) {
	sp, err := Space(stream.Context(), s.Store)
	if err != nil {
		return err
	}
	req, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	w, err := sp.Write(req.GetRef(), req.GetTotal(), digest.Digest(req.GetExpected()))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	for {
		resp, err := ingest(w, req)
		if err != nil {
			return err
		}
		if err := stream.Send(resp); err != nil {
			return err
		}
		if req.GetAction() == api.WriteAction_COMMIT {
			return nil
		}
		if req, err = stream.Recv(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// ingest acts on one message.
func ingest(w *store.Writer, req *api.WriteContentRequest) (*api.WriteContentResponse, error) {
	resp := &api.WriteContentResponse{Action: req.GetAction()}
	if req.GetAction() != api.WriteAction_STAT {
		if err := seek(w, req.GetOffset()); err != nil {
			return nil, err
		}
		if _, err := w.Write(req.GetData()); err != nil {
			return nil, err
		}
	}
	st := w.Status()
	resp.Offset, resp.Total = st.Offset, st.Total
	resp.StartedAt, resp.UpdatedAt = timestamppb.New(st.StartedAt), timestamppb.New(st.UpdatedAt)
	switch req.GetAction() {
	case api.WriteAction_COMMIT:
		d, err := w.Commit(req.GetTotal(), digest.Digest(req.GetExpected()), req.GetLabels())
		resp.Digest = d.String()
		return resp, err
	case api.WriteAction_STAT:
		resp.Digest = w.Digest().String()
	}
	return resp, nil
}

// seek follows the client: it may start over at 0, and otherwise must go on
// where we are.
func seek(w *store.Writer, offset int64) error {
	at := w.Status().Offset
	switch offset {
	case at:
		return nil
	case 0:
		return w.Truncate(0)
	default:
		return status.Errorf(codes.OutOfRange, "ingest %s: offset %d where %d was expected", w.Status().Ref, offset, at)
	}
}
