// Package attach connects clients to the streams of a process: named pipes between the shim and us, any number of
// clients on our side, each at its own pace.
//
// Two kinds of pipes exist. A *tee* is optional: our shim writes the log itself and copies to the tee while
// somebody reads it, so it is opened for the first client and closed after the last. A *plain* pipe is the only
// way out of the process (execs, and foreign shims): it is read all the time, clients or not, into the log.
package attach

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/07-daemon/logs"
)

// Config says which streams a process has.
type Config struct {
	Dir   string // the pipes stand here; made with mode 0700
	Tty   bool   // one stream, raw; there is no stderr
	Stdin bool
	Plain bool                    // the pipes are the only way out
	Sinks map[byte]io.WriteCloser // of plain pipes, by logs.Stdout and logs.Stderr: where everything is written
	// CloseStdin is called when input has ended and the process runs.
	CloseStdin func() error
}

// Process is one process's streams.
type Process struct {
	cfg Config

	mu      sync.Mutex // guards all below
	readers map[byte]*fifo
	clients map[*Client]struct{}
	stdin   *os.File
	running bool // the process was started
	eof     bool // input has ended
	over    bool // Finish was called

	pumps sync.WaitGroup
}

// New makes the pipes, or takes those of before a restart of the daemon.
func New(cfg Config) (*Process, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	p := &Process{cfg: cfg, readers: map[byte]*fifo{}, clients: map[*Client]struct{}{}}
	for _, stream := range p.streams() {
		if err := unix.Mkfifo(p.Path(stream), 0o600); err != nil && err != unix.EEXIST {
			return nil, fmt.Errorf("mkfifo %s: %w", p.Path(stream), err)
		}
	}
	if cfg.Plain {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p, p.openLocked()
	}
	return p, nil
}

func (p *Process) streams() []byte {
	list := []byte{logs.Stdout}
	if !p.cfg.Tty {
		list = append(list, logs.Stderr)
	}
	if p.cfg.Stdin {
		list = append(list, logs.Stdin)
	}
	return list
}

// Path is the pipe of a stream.
func (p *Process) Path(stream byte) string {
	return filepath.Join(p.cfg.Dir, [...]string{"stdin", "stdout", "stderr"}[stream])
}

// openLocked starts reading every output pipe.
func (p *Process) openLocked() error {
	for _, stream := range p.streams() {
		if stream == logs.Stdin || p.readers[stream] != nil {
			continue
		}
		r, err := openFifo(p.Path(stream))
		if err != nil {
			return err
		}
		p.readers[stream] = r
		p.pumps.Go(func() { p.pump(stream, r) })
	}
	return nil
}

// pump reads one pipe until it is finished or closed.
func (p *Process) pump(stream byte, r *fifo) {
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			p.deliver(stream, buf[:n])
		}
		if err != nil {
			return
		}
	}
}

func (p *Process) deliver(stream byte, data []byte) {
	if sink := p.cfg.Sinks[stream]; sink != nil {
		_, _ = sink.Write(data) // a full disk costs log lines, never the container's progress
	}
	p.mu.Lock()
	var to []*Client
	for c := range p.clients {
		if c.wants(stream) {
			to = append(to, c)
		}
	}
	p.mu.Unlock()
	for _, c := range to {
		c.push(stream, data)
	}
}

// Join adds a client. From the moment it returns, the client gets everything the process writes.
func (p *Process) Join(stdout, stderr bool) (*Client, error) {
	c := newClient(p, stdout, stderr)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		c.end()
		return c, nil
	}
	if err := p.openLocked(); err != nil {
		return nil, err
	}
	p.clients[c] = struct{}{}
	return c, nil
}

// leave removes a client; a tee that nobody reads is closed, so that the shim stops writing to it.
func (p *Process) leave(c *Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.clients, c)
	if len(p.clients) > 0 || p.cfg.Plain || p.over {
		return
	}
	for stream, r := range p.readers {
		_ = r.Close()
		delete(p.readers, stream)
	}
}

// WriteStdin passes input on. It may block for as long as the process does not read.
func (p *Process) WriteStdin(data []byte) error {
	in, err := p.input()
	if err != nil {
		return err
	}
	_, err = in.Write(data)
	return err
}

// input opens the pipe for reading and writing, so that it neither blocks nor breaks before the shim is there.
func (p *Process) input() (*os.File, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over || p.eof || !p.cfg.Stdin {
		return nil, io.ErrClosedPipe
	}
	if p.stdin == nil {
		f, err := os.OpenFile(p.Path(logs.Stdin), os.O_RDWR|unix.O_NONBLOCK, 0)
		if err != nil {
			return nil, err
		}
		p.stdin = f
	}
	return p.stdin, nil
}

// EndStdin says that no more input comes. Before the start it is only noted: the bytes wait in the pipe.
func (p *Process) EndStdin() error {
	p.mu.Lock()
	p.eof = true
	now := p.running && !p.over
	p.mu.Unlock()
	if !now {
		return nil
	}
	return p.closeStdin()
}

func (p *Process) closeStdin() error {
	p.mu.Lock()
	in := p.stdin
	p.stdin = nil
	p.mu.Unlock()
	var err error
	if in != nil {
		err = in.Close()
	}
	if p.cfg.CloseStdin == nil {
		return err
	}
	return errors.Join(err, p.cfg.CloseStdin())
}

// Started tells that the process runs; an end of input that was noted before is passed on now.
func (p *Process) Started() error {
	p.mu.Lock()
	p.running = true
	eof := p.eof
	p.mu.Unlock()
	if !eof {
		return nil
	}
	return p.closeStdin()
}

// Finish tells that the process has ended: what is still in the pipes is delivered, clients see the end, and the
// pipes are removed.
func (p *Process) Finish() {
	p.mu.Lock()
	if p.over {
		p.mu.Unlock()
		return
	}
	p.over = true
	for _, r := range p.readers {
		r.finish()
	}
	in := p.stdin
	p.stdin = nil
	p.mu.Unlock()
	if in != nil {
		_ = in.Close()
	}
	p.pumps.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.readers {
		_ = r.Close()
	}
	for _, sink := range p.cfg.Sinks {
		_ = sink.Close()
	}
	for c := range p.clients {
		c.end()
	}
	_ = os.RemoveAll(p.cfg.Dir)
}

// Release lets go of the pipes without ending anything: the daemon stops, the process goes on.
func (p *Process) Release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	for _, r := range p.readers {
		_ = r.Close()
	}
	if p.stdin != nil {
		_ = p.stdin.Close()
	}
	for c := range p.clients {
		c.end()
	}
}
