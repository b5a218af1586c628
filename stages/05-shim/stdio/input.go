package stdio

import "fmt"

func (set *Set) openInput(r Request) (err error) {
	target, err := Parse(r.Stdin)
	if err != nil {
		return fmt.Errorf("stdin: %w", err)
	}
	switch target.Kind {
	case Null, None:
		return set.null(0, r)
	case FIFO:
	default:
		return fmt.Errorf("stdin: %s:// is for output", target.Kind)
	}
	if set.input, err = openInFIFO(target.Path); err != nil {
		return fmt.Errorf("stdin: %w", err)
	}
	if r.Terminal {
		return nil
	}
	read, write, err := pipe()
	if err != nil {
		return err
	}
	set.giveChild(0, read, r)
	set.toChild, err = polled(write, "stdin")
	return err
}

// feed copies stdin until CloseStdin and the last writer's close, or until the container is gone.
// A terminal stays open then; a pipe ends.
func (set *Set) feed() {
	buf := make([]byte, 4<<10)
	for {
		n, err := set.input.read.Read(buf)
		if n > 0 {
			if _, werr := set.toChild.Write(buf[:n]); werr != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	if set.console == nil {
		set.toChild.Close()
	}
}

// CloseStdin lets stdin end when the last client has closed it; what is in the pipe still arrives.
func (set *Set) CloseStdin() {
	if set.input != nil {
		set.input.keep.Close()
	}
}
