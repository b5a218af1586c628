package runtime

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// mountError words the failure of a mount as runc does, whose callers look for these words, and says what is behind an errno
// that tells little.
func mountError(step string, err error) error {
	is := func(prefix string) bool { return strings.HasPrefix(step, prefix) }
	if !slices.ContainsFunc([]string{"mount ", "bind ", "remount ", "mask ", "copy "}, is) {
		return err
	}
	if errors.Is(err, unix.ELOOP) && (is("mount proc ") || is("mount sysfs ")) {
		err = fmt.Errorf("%w: it must be mounted on ordinary directory, the image has a symbolic link there", err)
	}
	return fmt.Errorf("error during container init: error mounting: %w", err)
}
