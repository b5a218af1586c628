package runtime

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/04-ocispec/state"
)

// listen opens the start gate: it is there before anything can go wrong behind it.
func (c *creation) listen(r *launch.Run, s launch.Slot) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), state.GateName)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: c.dir.GatePath()}); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := unix.Listen(fd, 1); err != nil {
		return errors.Join(err, f.Close())
	}
	r.Hold(s, f)
	return nil
}
