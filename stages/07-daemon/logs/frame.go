package logs

import (
	"encoding/binary"
	"io"
)

// The streams of Docker's multiplexed format; the first byte of a frame.
const (
	Stdin byte = iota
	Stdout
	Stderr
	SystemError // the daemon's own complaint, shown by the client as an error
)

// Framer writes payloads as frames of Docker's multiplexed format: {stream, 0, 0, 0, length big endian} and the
// payload. With Raw (a terminal) it writes the payloads alone.
type Framer struct {
	W   io.Writer
	Raw bool
}

// Write sends one payload in one call of the underlying Write, so that frames of two goroutines never mix.
func (f Framer) Write(stream byte, payload []byte) error {
	if f.Raw {
		_, err := f.W.Write(payload)
		return err
	}
	frame := make([]byte, 8, 8+len(payload))
	frame[0] = stream
	binary.BigEndian.PutUint32(frame[4:], uint32(len(payload)))
	_, err := f.W.Write(append(frame, payload...))
	return err
}
