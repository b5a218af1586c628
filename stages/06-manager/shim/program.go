// Package shim starts containerd's shims, talks to them, and cleans up after
// those that died. The contract is containerd's runtime v2
// (core/runtime/v2/README.md there); nothing here knows which shim it is.
package shim

import (
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
)

// DefaultRuntime is what a container gets that names none.
const DefaultRuntime = "io.containerd.runc.v2"

// Program finds the shim of a runtime name: our own for DefaultRuntime, the path
// itself for an absolute path, containerd-shim-NAME-VERSION on PATH for
// io.containerd.NAME.VERSION.
func Program(runtime, own string) (string, error) {
	switch {
	case runtime == "" || runtime == DefaultRuntime:
		return own, nil
	case filepath.IsAbs(runtime):
		return filepath.Clean(runtime), nil
	case strings.Contains(runtime, "/"):
		return "", fault.New(fault.InvalidArgument, "runtime %q: a path must be absolute", runtime)
	}
	parts := strings.Split(runtime, ".")
	if len(parts) < 2 || parts[len(parts)-1] == "" || parts[len(parts)-2] == "" {
		return "", fault.New(fault.InvalidArgument, "runtime %q: expected io.containerd.NAME.VERSION or an absolute path", runtime)
	}
	name := "containerd-shim-" + parts[len(parts)-2] + "-" + parts[len(parts)-1]
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fault.New(fault.NotFound, "runtime %s: %w", runtime, err)
	}
	return path, nil
}
