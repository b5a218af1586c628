// Package service answers containerd's gRPC services. Each file is one service
// and only translates: the published message in, a call of store, task or
// events, the published message out.
package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"runtime/debug"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
	"github.com/slipway-engine/slipway/stages/06-manager/meta"
	"github.com/slipway-engine/slipway/stages/06-manager/store"
)

// The headers of every request (containerd's namespaces and leases packages).
const (
	headerNamespace = "containerd-namespace"
	headerLease     = "containerd-lease"
)

// maxMessage is containerd's limit for one message.
const maxMessage = 16 << 20

// Options are what a gRPC server for these services needs: limits, errors as
// statuses, and a boundary that keeps a bug in one request from ending all
// (CVE-2026-95839). When stopping ends, requests that may wait for ever are ended
// too, so that a manager with subscribers can stop; the others may finish.
func Options(log *slog.Logger, stopping context.Context) []grpc.ServerOption {
	b := boundary{log, stopping}
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxSendMsgSize(maxMessage),
		grpc.WaitForHandlers(true), // or they would find the store closed
		grpc.UnaryInterceptor(b.unary),
		grpc.StreamInterceptor(b.stream),
	}
}

type boundary struct {
	log      *slog.Logger
	stopping context.Context // of the whole server, not of a request
}

func (b boundary) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (resp any, err error) {
	defer b.leave(info.FullMethod, &err)
	ctx, cancel := b.bound(ctx, info.FullMethod)
	defer cancel()
	return handle(ctx, req)
}

func (b boundary) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	defer b.leave(info.FullMethod, &err)
	ctx, cancel := b.bound(ss.Context(), info.FullMethod)
	defer cancel()
	return handle(srv, boundStream{ss, ctx})
}

// bound ends the context of a request without an end when the server stops.
func (b boundary) bound(ctx context.Context, method string) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	switch path.Base(method) {
	case "Wait", "Subscribe", "Stream":
		forget := context.AfterFunc(b.stopping, cancel)
		return ctx, func() { forget(); cancel() }
	}
	return ctx, cancel
}

type boundStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s boundStream) Context() context.Context { return s.ctx }

func (b boundary) leave(method string, err *error) {
	if p := recover(); p != nil {
		b.log.Error("panic in a request", "method", method, "panic", p, "stack", string(debug.Stack()))
		*err = status.Errorf(codes.Internal, "%s: internal error: %v", method, p)
		return
	}
	if errors.Is(*err, context.Canceled) && b.stopping.Err() != nil {
		*err = fault.New(fault.Unavailable, "the manager is stopping") // and not: you have cancelled
	}
	if *err != nil {
		*err = fault.ToGRPC(*err)
		b.log.Debug("request", "method", method, "error", *err)
	}
}

// namespace is the request's, checked: it becomes a path element.
func namespace(ctx context.Context) (string, error) {
	ns := header(ctx, headerNamespace)
	if ns == "" {
		return "", fault.New(fault.FailedPrecondition, "header %s is required", headerNamespace)
	}
	return ns, meta.ValidName("namespace", ns)
}

func header(ctx context.Context, name string) string {
	md, _ := metadata.FromIncomingContext(ctx)
	if v := md.Get(name); len(v) > 0 {
		return v[0]
	}
	return ""
}

// Space is the store as the request sees it.
func Space(ctx context.Context, s *store.Store) (store.Space, error) {
	ns, err := namespace(ctx)
	if err != nil {
		return store.Space{}, err
	}
	return s.In(ns, header(ctx, headerLease)), nil
}

// field is an error for a field mask that names what cannot change.
func field(what, path string) error {
	return fault.New(fault.InvalidArgument, "%s: field %q cannot be updated", what, path)
}

// announce publishes an event after the change it tells of has become durable.
func announce(err error, publish func() error) error {
	if err != nil {
		return err
	}
	if err := publish(); err != nil {
		return fmt.Errorf("done, but not announced: %w", err)
	}
	return nil
}
