package stdio

import (
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

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

func (set *Set) closeChild() {
	for i, f := range set.child {
		if f != nil {
			f.Close()
			set.child[i] = nil
		}
	}
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
