package stdio

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// sink is where output ends up. Flush comes before Close; Hurry may come at any time and makes
// a Write that waits for a reader, and all later ones, give up.
type sink interface {
	io.Writer
	Flush() error
	Hurry()
	Close() error
}

// pump moves bytes from a descriptor of the container to a sink. While nothing happens it holds
// one parked goroutine and no buffer.
type pump struct {
	src  *os.File
	conn syscall.RawConn // of src
	sink sink
	bufs *sync.Pool
	log  *slog.Logger

	mu       sync.Mutex
	busy     bool          // bytes were taken from src and are not in the sink yet
	ended    bool          // nothing more can come
	complain bool          // the last write failed; it is said once
	progress chan struct{} // of capacity 1: something above has changed
}

// bufSize is what one read takes: a pipe's whole default capacity (pipe(7)).
const bufSize = 64 << 10

func newPump(src *os.File, to sink, bufs *sync.Pool, log *slog.Logger) (*pump, error) {
	conn, err := src.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &pump{src: src, conn: conn, sink: to, bufs: bufs, log: log, progress: make(chan struct{}, 1)}, nil
}

// run pumps until the container's side is closed or the pump is.
func (p *pump) run() {
	for {
		buf, n, err := p.read()
		if n > 0 {
			_, werr := p.sink.Write((*buf)[:n])
			p.bufs.Put(buf)
			p.note(werr)
		}
		p.became(false, err != nil)
		if err != nil {
			break
		}
	}
	p.note(errors.Join(p.sink.Flush(), p.sink.Close()))
}

// stop ends run: no more is read, and nothing waits for a reader any longer.
func (p *pump) stop() {
	p.src.Close()
	p.sink.Hurry()
}

// read waits for output. A terminal whose other side is closed says EIO where a pipe says end of file.
func (p *pump) read() (buf *[]byte, n int, err error) {
	connErr := p.conn.Read(func(fd uintptr) bool {
		buf = p.bufs.Get().(*[]byte)
		p.mu.Lock()
		n, err = ignoringEINTR(func() (int, error) { return unix.Read(int(fd), *buf) })
		p.busy = n > 0
		p.mu.Unlock()
		if n <= 0 {
			p.bufs.Put(buf)
		}
		return !errors.Is(err, unix.EAGAIN)
	})
	if connErr != nil {
		return nil, 0, connErr
	}
	if n == 0 && err == nil {
		err = io.EOF
	}
	return buf, n, err
}

func (p *pump) became(busy, ended bool) {
	p.mu.Lock()
	p.busy, p.ended = busy, ended
	p.mu.Unlock()
	select {
	case p.progress <- struct{}{}:
	default:
	}
}

// note logs a failing sink once, until it works again. The container is never told: its output
// must not be able to break it.
func (p *pump) note(err error) {
	if err != nil && !p.complain && !errors.Is(err, os.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded) {
		p.log.Error("container output is being lost", "err", err)
	}
	p.complain = err != nil
}

// drain waits until everything that was written before the call is in the sink. Grandchildren may
// still hold the other end and write; what was there counts, not the end of file.
func (p *pump) drain(needEOF bool, deadline <-chan struct{}) bool {
	for !p.drained(needEOF) {
		select {
		case <-p.progress:
		case <-deadline:
			return false
		}
	}
	return true
}

func (p *pump) drained(needEOF bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended || p.busy || needEOF {
		return p.ended
	}
	waiting := 0
	err := p.conn.Control(func(fd uintptr) { waiting, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	return err != nil || waiting == 0
}

func ignoringEINTR(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
