package task

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/slipway-engine/slipway/stages/05-shim/oci"
)

func notFound(format string, args ...any) error {
	return status.Error(codes.NotFound, fmt.Sprintf(format, args...)+": not found")
}

func conflict(format string, args ...any) error {
	return status.Errorf(codes.FailedPrecondition, format, args...)
}

func exists(format string, args ...any) error {
	return status.Error(codes.AlreadyExists, fmt.Sprintf(format, args...)+": already exists")
}

func invalid(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}

// finished is what containerd's callers test for when they kill what has ended.
func finished() error { return status.Error(codes.NotFound, "process already finished: not found") }

// codeOf is the one table from kinds of errors to the protocol's codes.
func codeOf(err error) codes.Code {
	if refused, ok := errors.AsType[*oci.Error](err); ok {
		if refused.Gone() {
			return codes.NotFound
		}
		return codes.Unknown
	}
	switch {
	case errors.Is(err, os.ErrProcessDone), errors.Is(err, fs.ErrNotExist):
		return codes.NotFound
	case errors.Is(err, fs.ErrExist):
		return codes.AlreadyExists
	default:
		return codes.Unknown
	}
}

// failed gives an error its code; one that has a code keeps it.
func failed(doing string, err error) error {
	if _, ok := status.FromError(err); ok {
		return err
	}
	if refused, ok := errors.AsType[*oci.Error](err); ok && refused.Message != "" && famous(refused.Verb) {
		return status.Errorf(codes.Unknown, "OCI runtime %s failed: %s", refused.Verb, refused.Message)
	}
	return status.Errorf(codeOf(err), "%s: %v", doing, err)
}

// famous are the refusals that containerd words this way, and that Docker's users search the web for.
func famous(verb string) bool {
	return verb == "create" || verb == "start" || verb == "exec" || verb == "restore"
}
