package fault

import (
	"context"
	"errors"
	"io/fs"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// code is the one table from kinds to gRPC codes.
func code(k Kind) codes.Code {
	switch k {
	case InvalidArgument:
		return codes.InvalidArgument
	case NotFound:
		return codes.NotFound
	case AlreadyExists:
		return codes.AlreadyExists
	case FailedPrecondition:
		return codes.FailedPrecondition
	case Unavailable:
		return codes.Unavailable
	case Unimplemented:
		return codes.Unimplemented
	case Exhausted:
		return codes.ResourceExhausted
	case Denied:
		return codes.PermissionDenied
	case DataLoss:
		return codes.DataLoss
	default:
		return codes.Unknown
	}
}

// ToGRPC turns an error into a gRPC status. A status (from a shim's ttrpc
// answer, for instance) passes through unchanged.
func ToGRPC(err error) error {
	if err == nil {
		return nil
	}
	if k := KindOf(err); k != Unknown {
		return status.Error(code(k), err.Error())
	}
	if s, ok := errors.AsType[interface {
		error
		GRPCStatus() *status.Status
	}](err); ok {
		return status.Error(s.GRPCStatus().Code(), s.GRPCStatus().Message())
	}
	return status.Error(plainCode(err), err.Error())
}

func plainCode(err error) codes.Code {
	switch {
	case errors.Is(err, context.Canceled):
		return codes.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return codes.DeadlineExceeded
	case errors.Is(err, fs.ErrNotExist):
		return codes.NotFound
	default:
		return codes.Unknown
	}
}

// FromGRPC gives a status from a peer its kind back.
func FromGRPC(err error) error {
	if err == nil {
		return nil
	}
	c := status.Code(err)
	for k := InvalidArgument; k <= DataLoss; k++ {
		if code(k) == c {
			return As(k, err)
		}
	}
	return err
}
