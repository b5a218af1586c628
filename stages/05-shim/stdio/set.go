package stdio

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/05-shim/reap"
)

// Config is what all stdio of a shim shares.
type Config struct {
	Dir     string       // for console sockets; short, 0700
	Reaper  *reap.Reaper // for logging programs
	Log     *slog.Logger
	Patient time.Duration // for a tee's reader; 0 means ten seconds
}

// Streams opens the stdio of processes.
type Streams struct {
	Config
	bufs *sync.Pool
}

// New is a factory of stdio.
func New(c Config) *Streams {
	if c.Patient == 0 {
		c.Patient = teePatience
	}
	return &Streams{Config: c, bufs: &sync.Pool{New: func() any { b := make([]byte, bufSize); return &b }}}
}

// Request is the stdio a caller asked for.
type Request struct {
	Namespace, ID         string // told to logging programs
	Stdin, Stdout, Stderr string // addresses, docs/boundaries.md
	Terminal              bool
	UID, GID              int // owner of the pipes, for a container in a user namespace
}

// Set is the stdio of one process. Its life: Open, run the runtime with Child's files or
// ConsolePath, Begin, Drain when the process has ended, Close.
type Set struct {
	streams *Streams
	child   [3]*os.File // the container's ends; closed by Begin
	input   *inFIFO     // nil: no stdin
	toChild *os.File    // where input goes: a pipe, or the terminal
	console *consoleSocket
	program *program // a logging binary
	pumps   []*pump
	out     sink // the terminal's, until it has arrived
	wg      sync.WaitGroup
	undo    []func() // ends what the pumps write to, in reverse; Close runs it

	mu  sync.Mutex // guards tty
	tty *os.File
}

// Open prepares the stdio. On error nothing is left open.
func (s *Streams) Open(r Request) (set *Set, err error) {
	set = &Set{streams: s}
	defer func() {
		if err != nil {
			set.Close()
		}
	}()
	if err := set.openInput(r); err != nil {
		return nil, err
	}
	if r.Terminal {
		err = set.openTerminal(r)
	} else {
		err = set.openOutputs(r)
	}
	return set, err
}

func (set *Set) onClose(f func()) { set.undo = append(set.undo, f) }

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

// Child is what the runtime gets as its descriptors 0, 1 and 2; nil entries mean /dev/null.
func (set *Set) Child() (stdin, stdout, stderr *os.File) {
	return set.child[0], set.child[1], set.child[2]
}

// ConsolePath is for the runtime's --console-socket; empty without a terminal.
func (set *Set) ConsolePath() string {
	if set.console == nil {
		return ""
	}
	return set.console.path()
}

// consoleWait bounds the wait for the terminal after the runtime has reported success.
const consoleWait = 10 * time.Second

// Begin is called when the runtime has left: the container has its ends, ours start to move bytes.
func (set *Set) Begin() error {
	set.closeChild()
	if set.console != nil {
		if err := set.beginTerminal(); err != nil {
			return err
		}
	}
	for _, p := range set.pumps {
		set.wg.Go(p.run)
	}
	if set.input != nil {
		set.wg.Go(set.feed)
	}
	return nil
}

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

func (set *Set) closeChild() {
	for i, f := range set.child {
		if f != nil {
			f.Close()
			set.child[i] = nil
		}
	}
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

// Drain waits until what the ended process has written is delivered, at most for within. False
// means that something is still on its way.
func (set *Set) Drain(within time.Duration) bool {
	deadline := make(chan struct{})
	timer := time.AfterFunc(within, func() { close(deadline) })
	defer timer.Stop()
	complete := true
	for _, p := range set.pumps {
		// What a program wrote to a terminal may still be in the kernel's line discipline, where
		// nobody sees it; but the terminal's end of file comes after it.
		complete = p.drain(set.console != nil, deadline) && complete
	}
	return complete
}

// Close ends everything and gives all descriptors back. Bytes nobody has taken by now are lost.
func (set *Set) Close() {
	set.closeChild()
	if set.input != nil {
		set.input.read.Close()
		set.input.keep.Close()
	}
	if set.toChild != nil {
		set.toChild.Close()
	}
	for _, p := range set.pumps {
		p.stop()
	}
	set.wg.Wait()
	for _, p := range set.pumps {
		p.sink.Close() // once more: a pump that never began has not
	}
	if set.out != nil {
		set.out.Close()
	}
	for _, undo := range slices.Backward(set.undo) {
		undo()
	}
	set.undo = nil
}
