// Package inflate reads gzip (RFC 1952, RFC 1951). Unpacking an image is mostly inflating, and this reader does little else than the
// loop in decode.go, with three ideas that are all old: eight bytes are looked at at once, a table gives a whole symbol
// for the next eleven bits, and nothing is checked in the loop that can be made sure of before it.
//
// Reading order: table.go (what the next bits mean), decode.go (the loop), reader.go (blocks, members, buffers).
package inflate

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// The kinds of error, for errors.Is.
var (
	ErrHeader   = errors.New("not gzip")
	ErrCorrupt  = errors.New("gzip data is corrupt")
	ErrChecksum = errors.New("gzip checksum does not match")
)

const (
	history = 32 << 10  // how far back a copy may reach (RFC 1951, 2)
	block   = 256 << 10 // how much is inflated at once
	slack   = 258 + 16  // the longest copy, and what writing in eights may write too much
	inSize  = 128 << 10
	inSlack = 16 // the loop may read that much beyond where it stands
	padding = 64 // zeros behind the end of the input, so that the loop need not look for it
)

// Reader inflates. It is an io.ReadCloser; Close does nothing to what it reads from.
type Reader struct {
	src io.Reader
	err error // of the stream; kept for all later reads

	in    []byte // window on src
	pos   int    // the next byte of it that is not in bits
	end   int    // where real input ends; behind it are zeros
	eof   bool   // src has ended: end is the end of all
	bits  uint64 // the next bits, lowest first
	nbits uint   // how many of them count

	out   []byte // history and what was inflated
	write int    // end of what was inflated
	read  int    // end of what was given away
	start int    // out begins here: copies reach no further back in this member

	state     state
	last      bool // the present block is the last of its member
	stored    int  // bytes left of a stored block
	crc       uint32
	size      uint32
	literals  *[litSize]uint32
	distances *[distSize]uint32
	fixed     bool // the tables are those of RFC 1951, 3.2.6
}

// state is what comes next in the stream.
type state uint8

const (
	atMember state = iota
	atBlock
	inStored
	inCodes
	atTrailer
)

// NewReader begins to read the first member's header.
func NewReader(r io.Reader) (*Reader, error) {
	z := &Reader{
		src: r, in: make([]byte, inSize+padding), out: make([]byte, history+block+slack),
		literals: new([litSize]uint32), distances: new([distSize]uint32),
	}
	if err := z.member(true); err != nil {
		return nil, err
	}
	return z, nil
}

// Close implements io.Closer.
func (z *Reader) Close() error { return nil }

// Read implements io.Reader.
func (z *Reader) Read(p []byte) (int, error) {
	for z.read == z.write {
		if z.err != nil {
			return 0, z.err
		}
		z.slide()
		z.err = z.step()
		fresh := z.out[z.read:z.write]
		z.crc = crc32.Update(z.crc, crc32.IEEETable, fresh)
		z.size += uint32(len(fresh))
		if z.err == nil && z.state == atTrailer {
			z.err = z.trailer()
		}
	}
	n := copy(p, z.out[z.read:z.write])
	z.read += n
	return n, nil
}

// slide makes room and keeps the history. Everything inflated was given away.
func (z *Reader) slide() {
	if z.write <= history {
		return
	}
	from := z.write - history
	copy(z.out, z.out[from:z.write])
	z.start = max(0, z.start-from)
	z.write, z.read = history, history
}

// step inflates until out is full, or a member ends.
func (z *Reader) step() error {
	for {
		var err error
		switch z.state {
		case atBlock:
			err = z.blockHeader()
		case inStored:
			err = z.copyStored()
		case inCodes:
			err = z.decode()
		case atMember, atTrailer:
			return nil
		}
		if err != nil || z.write > len(z.out)-slack || z.state == atTrailer {
			return err
		}
	}
}

// fill makes sure that the loop can look ahead: there is input, or zeros behind its end.
func (z *Reader) fill() error {
	if z.eof {
		if z.pos > z.end+8 { // even what is in bits cannot reach back to real input
			return io.ErrUnexpectedEOF
		}
		return nil
	}
	// The bytes that are in bits stay in front of pos: align may give them back.
	keep := int(z.nbits >> 3)
	from := z.pos - keep
	copy(z.in, z.in[from:z.end])
	z.end, z.pos = z.end-from, keep
	for z.end-z.pos < inSlack {
		n, err := z.src.Read(z.in[z.end:inSize])
		z.end += n
		if errors.Is(err, io.EOF) {
			z.eof = true
			clear(z.in[z.end : z.end+padding])
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// limit is how far the loop may go before it must fill.
func (z *Reader) limit() int {
	if z.eof {
		return z.end + padding - inSlack
	}
	return z.end - inSlack
}

// refill brings bits to 56 at least.
func (z *Reader) refill() error {
	if z.pos > z.limit() {
		if err := z.fill(); err != nil {
			return err
		}
	}
	z.bits |= load64(z.in, z.pos) << (z.nbits & 63)
	z.pos += int((63 - z.nbits) >> 3)
	z.nbits |= 56
	return nil
}

// take gives the next n bits, 32 at most.
func (z *Reader) take(n uint) (uint, error) {
	if z.nbits < n {
		if err := z.refill(); err != nil {
			return 0, err
		}
	}
	v := uint(z.bits & (1<<n - 1))
	z.bits >>= n
	z.nbits -= n
	return v, z.overrun()
}

// overrun tells whether bits were used that are not of the input.
func (z *Reader) overrun() error {
	if z.eof && z.pos-int(z.nbits>>3) > z.end {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// align forgets the rest of the present byte and gives whole bytes back to the input.
func (z *Reader) align() {
	z.pos -= int(z.nbits >> 3)
	z.bits, z.nbits = 0, 0
}

func (z *Reader) blockHeader() error {
	if z.last {
		z.align()
		z.state = atTrailer
		return nil
	}
	v, err := z.take(3)
	if err != nil {
		return err
	}
	z.last = v&1 == 1
	switch v >> 1 {
	case 0:
		return z.storedHeader()
	case 1:
		z.state = inCodes
		return z.fixedTables()
	case 2:
		z.state = inCodes
		return z.dynamicTables()
	}
	return fmt.Errorf("block of type 3: %w", ErrCorrupt)
}

func (z *Reader) storedHeader() error {
	z.align()
	v, err := z.take(32)
	if err != nil {
		return err
	}
	if v&0xffff != ^v>>16&0xffff {
		return fmt.Errorf("length of a stored block: %w", ErrCorrupt)
	}
	z.align()
	z.stored, z.state = int(v&0xffff), inStored
	return nil
}

func (z *Reader) copyStored() error {
	for z.stored > 0 && z.write <= len(z.out)-slack {
		if z.pos == z.end {
			if err := z.fill(); err != nil {
				return err
			}
			if z.pos == z.end {
				return io.ErrUnexpectedEOF
			}
		}
		n := copy(z.out[z.write:min(z.write+z.stored, len(z.out))], z.in[z.pos:z.end])
		z.write, z.pos, z.stored = z.write+n, z.pos+n, z.stored-n
	}
	if z.stored == 0 {
		z.state = atBlock
	}
	return nil
}

// trailer checks a member and looks whether another one follows (RFC 1952, 2.2).
func (z *Reader) trailer() error {
	crc, err := z.take(32)
	if err != nil {
		return err
	}
	size, err := z.take(32)
	if err != nil {
		return err
	}
	z.align()
	if uint32(crc) != z.crc || uint32(size) != z.size {
		return ErrChecksum
	}
	return z.member(false)
}

// member reads a member's header. Where one may follow but none does, it is io.EOF.
func (z *Reader) member(first bool) error {
	if z.pos == z.end {
		if err := z.fill(); err != nil {
			return err
		}
		if z.pos == z.end && !first {
			return io.EOF
		}
	}
	head, err := z.bytes(10)
	if err != nil {
		return err
	}
	if head[0] != 0x1f || head[1] != 0x8b || head[2] != 8 {
		return ErrHeader
	}
	if err := z.headerFields(head[3]); err != nil {
		return err
	}
	z.state, z.last, z.crc, z.size, z.start = atBlock, false, 0, 0, z.write
	return nil
}

// headerFields passes over what may follow the fixed part: extra bytes, a name, a comment, a checksum.
func (z *Reader) headerFields(flags byte) error {
	if flags&4 != 0 {
		n, err := z.bytes(2)
		if err != nil {
			return err
		}
		if _, err := z.bytes(int(n[0]) | int(n[1])<<8); err != nil {
			return err
		}
	}
	for _, flag := range []byte{8, 16} {
		for flags&flag != 0 {
			c, err := z.bytes(1)
			if err != nil {
				return err
			}
			if c[0] == 0 {
				break
			}
		}
	}
	if flags&2 != 0 {
		_, err := z.bytes(2)
		return err
	}
	return nil
}

// bytes gives the next n bytes; bits is empty.
func (z *Reader) bytes(n int) ([]byte, error) {
	p := make([]byte, 0, n)
	for len(p) < n {
		if z.pos == z.end {
			if err := z.fill(); err != nil {
				return nil, err
			}
			if z.pos == z.end {
				return nil, io.ErrUnexpectedEOF
			}
		}
		k := min(n-len(p), z.end-z.pos)
		p = append(p, z.in[z.pos:z.pos+k]...)
		z.pos += k
	}
	return p, nil
}
