package stdio

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// null gives the container /dev/null for one of its descriptors.
func (set *Set) null(i int, r Request) error {
	if r.Terminal {
		return nil
	}
	fd, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", os.DevNull, err)
	}
	set.child[i] = os.NewFile(uintptr(fd), os.DevNull)
	return nil
}

func (set *Set) giveChild(i, fd int, r Request) {
	if r.UID != 0 || r.GID != 0 {
		// Only then: inside a user namespace nobody may open an inode of unmapped root again.
		if err := unix.Fchown(fd, r.UID, r.GID); err != nil {
			set.streams.Log.Warn("give the container its pipe", "uid", r.UID, "err", err)
		}
	}
	set.child[i] = os.NewFile(uintptr(fd), "container's end")
}

func (set *Set) openOutputs(r Request) error {
	opener := newOpener(set, r)
	for i, output := range []struct{ name, uri string }{{"stdout", r.Stdout}, {"stderr", r.Stderr}} {
		target, err := Parse(output.uri)
		if err == nil {
			err = set.openOutput(opener, i+1, target, output.name)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", output.name, err)
		}
	}
	return nil
}

func (set *Set) openOutput(o *opener, i int, target Target, name string) error {
	switch {
	case target.Kind == Null, target.Kind == None && target.Tee == "":
		return set.null(i, o.request)
	case target.Kind == Binary:
		return o.program(i, target)
	}
	to, err := o.open(target, name)
	if err != nil {
		return err
	}
	read, write, err := pipe()
	if err != nil {
		to.Close()
		return err
	}
	set.giveChild(i, write, o.request)
	return set.pumpFrom(read, name, to)
}

func (set *Set) pumpFrom(fd int, name string, to sink) error {
	src, err := polled(fd, name)
	if err != nil {
		to.Close()
		return err
	}
	return set.addPump(src, to)
}

func (set *Set) addPump(src *os.File, to sink) error {
	p, err := newPump(src, to, set.streams.bufs, set.streams.Log)
	if err != nil {
		return errors.Join(err, src.Close(), to.Close())
	}
	set.pumps = append(set.pumps, p)
	return nil
}
