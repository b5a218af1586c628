package task

import (
	"errors"
	"io"

	"github.com/containerd/ttrpc"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
)

// disconnected says that an error means "the shim is gone", not "the shim said no".
func disconnected(err error) bool {
	return errors.Is(err, ttrpc.ErrClosed) || errors.Is(err, io.EOF) || errors.Is(err, unix.EPIPE) ||
		errors.Is(err, unix.ECONNRESET) || errors.Is(err, errGone)
}

// errGone is wrapped by Shim's answer for a task whose shim was found dead.
var errGone = fault.New(fault.NotFound, "its shim is gone")
