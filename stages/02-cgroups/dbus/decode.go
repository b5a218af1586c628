package dbus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// maxDepth is how deep containers may lie in each other (section "Valid Signatures": 32 arrays and 32 structs).
const maxDepth = 64

var errShort = errors.New("dbus: a message ends in the middle of a value")

// decoder reads values by their signature. What comes in is not trusted: every length is checked.
type decoder struct {
	buf   []byte
	at    int
	order binary.ByteOrder
	depth int
}

func (d *decoder) align(n int) error {
	for d.at%n != 0 {
		d.at++
	}
	if d.at > len(d.buf) {
		return errShort
	}
	return nil
}

func (d *decoder) take(n int) ([]byte, error) {
	if n < 0 || n > len(d.buf)-d.at {
		return nil, errShort
	}
	b := d.buf[d.at : d.at+n]
	d.at += n
	return b, nil
}

// fixed reads a number of 2, 4 or 8 bytes.
func (d *decoder) fixed(n int) (uint64, error) {
	if err := d.align(n); err != nil {
		return 0, err
	}
	b, err := d.take(n)
	if err != nil {
		return 0, err
	}
	switch n {
	case 2:
		return uint64(d.order.Uint16(b)), nil
	case 4:
		return uint64(d.order.Uint32(b)), nil
	}
	return d.order.Uint64(b), nil
}

func (d *decoder) string() (string, error) {
	n, err := d.fixed(4)
	if err != nil {
		return "", err
	}
	return d.terminated(n)
}

func (d *decoder) signature() (string, error) {
	b, err := d.take(1)
	if err != nil {
		return "", err
	}
	return d.terminated(uint64(b[0]))
}

// terminated reads n bytes and the NUL behind them.
func (d *decoder) terminated(n uint64) (string, error) {
	if n >= uint64(len(d.buf)-d.at) {
		return "", errShort
	}
	b, err := d.take(int(n) + 1)
	if err != nil {
		return "", err
	}
	return string(b[:n]), nil
}

// values reads all types of a signature, one after the other.
func (d *decoder) values(sig string) (all []any, err error) {
	for sig != "" {
		n, err := typeLen(sig, 0)
		if err != nil {
			return nil, err
		}
		v, err := d.value(sig[:n])
		if err != nil {
			return nil, err
		}
		all = append(all, v)
		sig = sig[n:]
	}
	return all, nil
}

// value reads one complete type. Arrays and structs become []any, variants what is in them; a dictionary is a
// list of pairs.
func (d *decoder) value(sig string) (any, error) {
	switch sig[0] {
	case 'y':
		b, err := d.take(1)
		if err != nil {
			return nil, err
		}
		return b[0], nil
	case 'b':
		n, err := d.fixed(4)
		return n != 0, err
	case 'n', 'q':
		n, err := d.fixed(2)
		return uint16(n), err
	case 'i', 'u', 'h':
		n, err := d.fixed(4)
		return uint32(n), err
	case 'x', 't':
		return d.fixed(8)
	case 'd':
		n, err := d.fixed(8)
		return math.Float64frombits(n), err
	case 's':
		return d.string()
	case 'o':
		s, err := d.string()
		return Path(s), err
	case 'g':
		return d.signature()
	}
	if d.depth++; d.depth > maxDepth {
		return nil, errors.New("dbus: a message nests too deep")
	}
	defer func() { d.depth-- }()
	switch sig[0] {
	case 'v':
		return d.variant()
	case 'a':
		return d.array(sig[1:])
	}
	if err := d.align(8); err != nil {
		return nil, err
	}
	return d.values(sig[1 : len(sig)-1])
}

func (d *decoder) variant() (any, error) {
	sig, err := d.signature()
	if err != nil {
		return nil, err
	}
	n, err := typeLen(sig, 0)
	if err != nil || n != len(sig) {
		return nil, fmt.Errorf("dbus: a variant of type %q", sig)
	}
	return d.value(sig)
}

func (d *decoder) array(element string) (any, error) {
	n, err := d.fixed(4)
	if err != nil {
		return nil, err
	}
	if err := d.align(alignment(element[0])); err != nil {
		return nil, err
	}
	if n > uint64(len(d.buf)-d.at) {
		return nil, errShort
	}
	end := d.at + int(n)
	list := []any{}
	for d.at < end {
		v, err := d.value(element)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	if d.at != end {
		return nil, errors.New("dbus: an array's length does not fit its elements")
	}
	return list, nil
}

func alignment(kind byte) int {
	switch kind {
	case 'y', 'g', 'v':
		return 1
	case 'n', 'q':
		return 2
	case 'x', 't', 'd', '(', '{':
		return 8
	}
	return 4
}

// typeLen is the length of the first complete type of a signature.
func typeLen(sig string, depth int) (int, error) {
	if sig == "" || depth > maxDepth {
		return 0, fmt.Errorf("dbus: %q is no type", sig)
	}
	switch sig[0] {
	case 'y', 'b', 'n', 'q', 'i', 'u', 'x', 't', 'd', 's', 'o', 'g', 'v', 'h':
		return 1, nil
	case 'a':
		n, err := typeLen(sig[1:], depth+1)
		return n + 1, err
	case '(', '{':
		return groupLen(sig, depth)
	}
	return 0, fmt.Errorf("dbus: %q is no type", sig)
}

// groupLen is typeLen of "(…)" and "{…}". An empty one is refused: it would take no bytes, and so an array of
// them no end.
func groupLen(sig string, depth int) (int, error) {
	end := map[byte]byte{'(': ')', '{': '}'}[sig[0]]
	for at := 1; at < len(sig); {
		if sig[at] == end && at > 1 {
			return at + 1, nil
		}
		n, err := typeLen(sig[at:], depth+1)
		if err != nil {
			return 0, err
		}
		at += n
	}
	return 0, fmt.Errorf("dbus: %q does not end", sig)
}
