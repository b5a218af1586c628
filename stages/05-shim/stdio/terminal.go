package stdio

import (
	"fmt"
	"time"
)

func (set *Set) openTerminal(r Request) (err error) {
	target, err := Parse(r.Stdout)
	if err != nil {
		return fmt.Errorf("stdout: %w", err)
	}
	opener := newOpener(set, r)
	if set.out, err = opener.open(target, "stdout"); err != nil {
		return fmt.Errorf("stdout: %w", err)
	}
	set.console, err = newConsoleSocket(set.streams.Dir)
	if err == nil {
		set.onClose(func() { set.console.Close() })
	}
	return err
}

// consoleWait bounds the wait for the terminal after the runtime has reported success.
const consoleWait = 10 * time.Second

func (set *Set) beginTerminal() error {
	tty, err := set.console.receive(consoleWait)
	if err != nil {
		return err
	}
	set.mu.Lock()
	set.tty = tty
	set.mu.Unlock()
	set.toChild = tty
	out := set.out
	set.out = nil
	return set.addPump(tty, out)
}

// Resize sets the terminal's size; without a terminal it does nothing, as in containerd.
func (set *Set) Resize(width, height uint32) error {
	set.mu.Lock()
	defer set.mu.Unlock()
	if set.tty == nil {
		return nil
	}
	if err := resize(set.tty, width, height); err != nil {
		return fmt.Errorf("resize terminal to %dx%d: %w", width, height, err)
	}
	return nil
}
