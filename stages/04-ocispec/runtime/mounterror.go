package runtime

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/03-rootfs/enter"
)

// mountError words the failure of a mount as runc does, whose callers look for these words, and says what is behind an errno
// that tells little.
func mountError(s *specs.Spec, step string, err error) error {
	is := func(prefix string) bool { return strings.HasPrefix(step, prefix) }
	if !slices.ContainsFunc([]string{"mount ", "bind ", "remount ", "mask ", "copy "}, is) {
		return err
	}
	if errors.Is(err, unix.ELOOP) && (is("mount proc ") || is("mount sysfs ")) {
		err = fmt.Errorf("%w: it must be mounted on ordinary directory, the image has a symbolic link there", err)
	}
	if errors.Is(err, unix.EPERM) && is("bind ") && strings.Contains(step, " on /proc") {
		err = fmt.Errorf("%w: what is mounted on /proc must be procfs, or a container would lie to whoever looks after it (CVE-2019-16884)", err)
	}
	if options := dataOptions(s, step); options != "" && errors.Is(err, unix.EINVAL) {
		err = fmt.Errorf("%w: one of its options %q is not the file system's, or has a value that it does not take", err, options)
	}
	return fmt.Errorf("error during container init: error mounting: %w", err)
}

// dataOptions are the options of the mount that a step performs which are for the file system itself: the kernel does not say
// which of them it does not know.
func dataOptions(s *specs.Spec, step string) string {
	for _, m := range s.Mounts {
		name := fmt.Sprintf("mount %s on %s", m.Type, path.Clean("/"+m.Destination))
		if o := enter.ParseOptions(m.Options); step == name || strings.HasPrefix(step, name+" ") {
			return o.Data
		}
	}
	return ""
}
