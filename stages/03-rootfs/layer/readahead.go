package layer

import (
	"io"
	"sync"
)

const (
	chunkSize  = 256 << 10
	chunkCount = 8
)

// ReadAhead reads r in a goroutine of its own, up to two mebibytes ahead of the reader, so that decompressing and writing
// files use two processors. Close stops and waits for it; it does not close r.
func ReadAhead(r io.Reader) io.ReadCloser {
	a := &readAhead{full: make(chan chunk, chunkCount), free: make(chan []byte, chunkCount), stop: make(chan struct{})}
	for range chunkCount {
		a.free <- nil // allocated when first used: small layers need one
	}
	a.wg.Go(func() { a.fill(r) })
	return a
}

type chunk struct {
	data []byte
	err  error // after data
}

type readAhead struct {
	full chan chunk
	free chan []byte
	stop chan struct{} // closed by Close
	wg   sync.WaitGroup
	once sync.Once

	current chunk
	rest    []byte // of current.data
}

func (a *readAhead) fill(r io.Reader) {
	defer close(a.full)
	for {
		var p []byte
		select {
		case p = <-a.free:
		case <-a.stop:
			return
		}
		if p == nil {
			p = make([]byte, chunkSize)
		}
		n, err := readFull(r, p)
		select {
		case a.full <- chunk{p[:n], err}:
		case <-a.stop:
			return
		}
		if err != nil {
			return
		}
	}
}

// readFull is io.ReadFull without its io.ErrUnexpectedEOF, which could not be told from one that r itself gives.
func readFull(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var k int
		k, err = r.Read(p[n:])
		n += k
	}
	return n, err
}

// Read implements io.Reader.
func (a *readAhead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.current.err != nil {
			return 0, a.current.err
		}
		if a.current.data != nil {
			a.free <- a.current.data[:chunkSize]
		}
		next, ok := <-a.full
		if !ok {
			return 0, io.ErrClosedPipe
		}
		a.current, a.rest = next, next.data
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// Close implements io.Closer. A Read of r that is under way is waited for.
func (a *readAhead) Close() error {
	a.once.Do(func() { close(a.stop) })
	a.wg.Wait()
	return nil
}
