package dbus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Kinds of message that are read here.
const (
	methodCall  = 1
	methodReply = 2
	methodError = 3
)

// Header fields (section "Header Fields").
const (
	fieldPath        = 1
	fieldInterface   = 2
	fieldMember      = 3
	fieldErrorName   = 4
	fieldReplySerial = 5
	fieldDestination = 6
	fieldSignature   = 8
)

// maxMessage is the protocol's own limit, 128 MiB; a reply to us is far below 1 MiB.
const maxMessage = 1 << 20

// message is a reply or an error, as far as a caller needs it.
type message struct {
	kind   byte
	serial uint32 // of the call that it answers
	name   string // of an error
	body   []any
}

// Call says which method of which object.
type Call struct {
	Destination, Interface, Member string
	Path                           Path
	Args                           []any
}

// encode makes the call's bytes: a fixed part, the header fields, and the body, which starts at a multiple of 8.
func (c Call) encode(serial uint32) ([]byte, error) {
	body := new(encoder)
	sig := ""
	for _, a := range c.Args {
		s, err := signature(a)
		if err != nil {
			return nil, err
		}
		sig += s
		if err := body.value(a); err != nil {
			return nil, err
		}
	}
	e := &encoder{buf: []byte{'l', methodCall, 0, 1}}
	e.uint32(uint32(len(body.buf)))
	e.uint32(serial)
	var err error
	e.array(8, func() { err = e.fields(c, sig) })
	e.align(8)
	return append(e.buf, body.buf...), err
}

func (e *encoder) fields(c Call, sig string) error {
	for _, f := range []struct {
		code  byte
		value any
	}{{fieldPath, c.Path}, {fieldInterface, c.Interface}, {fieldMember, c.Member}, {fieldDestination, c.Destination}} {
		if f.value == "" {
			continue
		}
		e.align(8)
		e.buf = append(e.buf, f.code)
		if err := e.variant(f.value); err != nil {
			return err
		}
	}
	if sig != "" {
		e.align(8)
		e.buf = append(e.buf, fieldSignature)
		e.signature("g")
		e.signature(sig)
	}
	return nil
}

// read takes one message off the wire.
func read(r io.Reader) (*message, error) {
	var head [16]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	var order binary.ByteOrder = binary.LittleEndian
	switch head[0] {
	case 'l':
	case 'B':
		order = binary.BigEndian
	default:
		return nil, fmt.Errorf("dbus: byte order %q", head[0])
	}
	body, fields := uint64(order.Uint32(head[4:])), uint64(order.Uint32(head[12:]))
	padded := (fields + 7) &^ 7
	if body+padded > maxMessage {
		return nil, errors.New("dbus: a message larger than any reply to us")
	}
	buf := make([]byte, 16+padded+body)
	copy(buf, head[:])
	if _, err := io.ReadFull(r, buf[16:]); err != nil {
		return nil, err
	}
	return parse(buf, order, int(16+padded))
}

// parse reads the header fields, and the body if the message is for a caller.
func parse(buf []byte, order binary.ByteOrder, body int) (*message, error) {
	m := &message{kind: buf[1]}
	d := &decoder{buf: buf[:body], at: 12, order: order}
	fields, err := d.value("a(yv)")
	if err != nil {
		return nil, err
	}
	sig := ""
	for _, f := range fields.([]any) {
		pair := f.([]any)
		switch pair[0].(byte) {
		case fieldReplySerial:
			m.serial, _ = pair[1].(uint32)
		case fieldErrorName:
			m.name, _ = pair[1].(string)
		case fieldSignature:
			sig, _ = pair[1].(string)
		}
	}
	if m.kind != methodReply && m.kind != methodError {
		return m, nil // a signal: nobody asked
	}
	d = &decoder{buf: buf[body:], order: order}
	m.body, err = d.values(sig)
	return m, err
}
