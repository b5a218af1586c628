package dbus

import (
	"encoding/binary"
	"math"
)

// encoder appends values in the little-endian wire format. Each is aligned to its own size, counted from the
// start of the message; so buf starts where a message or its body (at a multiple of 8) does.
type encoder struct{ buf []byte }

func (e *encoder) align(n int) {
	for len(e.buf)%n != 0 {
		e.buf = append(e.buf, 0)
	}
}

func (e *encoder) uint16(n uint16) {
	e.align(2)
	e.buf = binary.LittleEndian.AppendUint16(e.buf, n)
}

func (e *encoder) uint64(n uint64) {
	e.align(8)
	e.buf = binary.LittleEndian.AppendUint64(e.buf, n)
}

func (e *encoder) uint32(n uint32) {
	e.align(4)
	e.buf = binary.LittleEndian.AppendUint32(e.buf, n)
}

func (e *encoder) string(s string) {
	e.uint32(uint32(len(s)))
	e.buf = append(append(e.buf, s...), 0)
}

// signature is a string with a length of one byte.
func (e *encoder) signature(s string) {
	e.buf = append(append(append(e.buf, byte(len(s))), s...), 0)
}

// array writes the length of what each appends, without the padding before its first element.
func (e *encoder) array(alignment int, each func()) {
	e.uint32(0)
	length := len(e.buf) - 4
	e.align(alignment)
	start := len(e.buf)
	each()
	binary.LittleEndian.PutUint32(e.buf[length:], uint32(len(e.buf)-start))
}

// value writes v, whose type signature has accepted.
func (e *encoder) value(v any) error {
	var err error
	switch v := v.(type) {
	case byte:
		e.buf = append(e.buf, v)
	case bool:
		n := uint32(0)
		if v {
			n = 1
		}
		e.uint32(n)
	case int16:
		e.uint16(uint16(v))
	case uint16:
		e.uint16(v)
	case int32:
		e.uint32(uint32(v))
	case uint32:
		e.uint32(v)
	case int64:
		e.uint64(uint64(v))
	case uint64:
		e.uint64(v)
	case float64:
		e.uint64(math.Float64bits(v))
	case string:
		e.string(v)
	case Path:
		e.string(string(v))
	case []byte:
		e.array(1, func() { e.buf = append(e.buf, v...) })
	case []string:
		e.array(4, func() {
			for _, s := range v {
				e.string(s)
			}
		})
	case []uint32:
		e.array(4, func() {
			for _, n := range v {
				e.uint32(n)
			}
		})
	case Pairs:
		e.array(8, func() {
			for _, p := range v {
				e.align(8)
				e.string(p[0])
				e.string(p[1])
			}
		})
	case Properties:
		e.array(8, func() { err = e.properties(v) })
	case Units:
		e.array(8, func() {})
	case Variant:
		err = e.variant(v.Value)
	}
	return err
}

func (e *encoder) properties(list Properties) error {
	for _, p := range list {
		e.align(8)
		e.string(p.Name)
		if err := e.variant(p.Value); err != nil {
			return err
		}
	}
	return nil
}

func (e *encoder) variant(v any) error {
	sig, err := signature(v)
	if err != nil {
		return err
	}
	e.signature(sig)
	return e.value(v)
}
