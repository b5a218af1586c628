package criu

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Wire types of protobuf (protobuf.dev, "Encoding").
const (
	varint  = 0
	fixed64 = 1
	bytes   = 2
	fixed32 = 5
)

// message is one that is being written.
type message []byte

func (m *message) number(field int, v uint64) {
	*m = binary.AppendUvarint(*m, uint64(field)<<3|varint)
	*m = binary.AppendUvarint(*m, v)
}

func (m *message) text(field int, s string) {
	*m = binary.AppendUvarint(*m, uint64(field)<<3|bytes)
	*m = binary.AppendUvarint(*m, uint64(len(s)))
	*m = append(*m, s...)
}

func (m *message) flag(field int, on bool) {
	if on {
		m.number(field, 1)
	}
}

func (m *message) optional(field int, s string) {
	if s != "" {
		m.text(field, s)
	}
}

// inner writes a message within the message.
func (m *message) inner(field int, write func(*message)) {
	var in message
	write(&in)
	m.text(field, string(in))
}

func (m *message) pair(field int, p Pair) {
	m.inner(field, func(in *message) { in.text(1, p.Key); in.text(2, p.Value) })
}

// Marshal writes the request as rpc.proto numbers it.
func (r *Request) Marshal() []byte {
	var m message
	m.number(1, uint64(r.Type))
	if r.Options != nil {
		m.inner(2, r.Options.write)
	}
	m.flag(3, r.NotifySuccess)
	if r.Features != nil {
		m.inner(5, func(in *message) { in.flag(1, r.Features.MemoryTracking); in.flag(2, r.Features.LazyPages) })
	}
	return m
}

func (o *Options) write(m *message) {
	m.number(1, uint64(o.ImagesDir))
	if o.PID != 0 {
		m.number(2, uint64(o.PID))
	}
	for _, f := range []struct {
		field int
		on    bool
	}{
		{3, o.LeaveRunning},
		{4, o.ExternalUnixSockets},
		{5, o.TCPEstablished},
		{6, o.EvasiveDevices},
		{7, o.ShellJob},
		{8, o.FileLocks},
		{12, o.NotifyScripts},
		{15, o.TrackMemory},
		{16, o.AutoDedup},
		{18, o.LinkRemap},
		{26, o.Sibling},
		{46, o.TCPSkipInFlight},
		{48, o.LazyPages},
		{50, o.OrphanTerminal},
	} {
		m.flag(f.field, f.on)
	}
	for _, f := range []struct {
		field int
		text  string
	}{
		{10, o.LogFile}, {13, o.Root}, {14, o.ParentImage}, {44, o.FreezeCgroup}, {51, o.ConfigFile}, {53, o.LSMProfile}, {63, o.LSMMountContext},
	} {
		m.optional(f.field, f.text)
	}
	m.number(9, uint64(o.LogLevel))
	if o.WorkDir != 0 {
		m.number(17, uint64(o.WorkDir))
	}
	if o.PageServer != nil {
		m.inner(11, func(in *message) { in.text(1, o.PageServer.Address); in.number(2, uint64(o.PageServer.Port)) })
	}
	m.flag(24, true) // manage_cgroups, for a criu that does not know the modes
	m.number(34, uint64(o.Cgroups))
	m.number(38, uint64(o.EmptyNamespaces))
	o.writeLists(m)
}

func (o *Options) writeLists(m *message) {
	for _, p := range o.ExternalMounts {
		m.pair(23, p)
	}
	for _, p := range o.CgroupRoots {
		m.pair(25, p)
	}
	for _, f := range o.InheritFDs {
		m.inner(27, func(in *message) { in.text(1, f.Key); in.number(2, uint64(f.FD)) })
	}
	for _, s := range o.External {
		m.text(37, s)
	}
	for _, p := range o.JoinNamespaces {
		m.pair(39, p)
	}
}

// field is one that was read: a number, or bytes.
type field struct {
	id     int
	number uint64
	data   []byte
}

var errTruncated = errors.New("criu: the message ends in the middle of a field")

// next cuts the first field off a message.
func next(b []byte) (f field, rest []byte, err error) {
	tag, n := binary.Uvarint(b)
	if n <= 0 || tag>>3 == 0 || tag>>3 > 1<<29-1 {
		return f, nil, errTruncated
	}
	f.id, b = int(tag>>3), b[n:]
	switch tag & 7 {
	case varint:
		if f.number, n = binary.Uvarint(b); n <= 0 {
			return f, nil, errTruncated
		}
		return f, b[n:], nil
	case bytes:
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return f, nil, errTruncated
		}
		f.data = b[n : n+int(size)]
		return f, b[n+int(size):], nil
	case fixed32, fixed64:
		width := map[uint64]int{fixed32: 4, fixed64: 8}[tag&7]
		if len(b) < width {
			return f, nil, errTruncated
		}
		return f, b[width:], nil
	}
	return f, nil, fmt.Errorf("criu: field %d has the wire type %d", f.id, tag&7)
}

// each calls see for every field of a message.
func each(b []byte, see func(field) error) error {
	for len(b) > 0 {
		f, rest, err := next(b)
		if err != nil {
			return err
		}
		if err := see(f); err != nil {
			return err
		}
		b = rest
	}
	return nil
}

// Unmarshal reads a response. Fields that it does not know are left out, as protobuf wants.
func Unmarshal(b []byte) (*Response, error) {
	r := new(Response)
	err := each(b, func(f field) error {
		switch f.id {
		case 1:
			r.Type = Type(f.number)
		case 2:
			r.Success = f.number != 0
		case 4:
			return each(f.data, func(in field) error { return r.process(in, 1) })
		case 5:
			return each(f.data, func(in field) error {
				if in.id == 1 {
					r.Script = string(in.data)
				}
				return r.process(in, 2)
			})
		case 7:
			r.Errno = int(int32(f.number))
		case 8:
			return each(f.data, r.feature)
		case 9:
			r.Message = string(f.data)
		case 10:
			return each(f.data, r.version)
		}
		return nil
	})
	return r, err
}

func (r *Response) process(f field, id int) error {
	if f.id == id {
		r.PID = int(int32(f.number))
	}
	return nil
}

func (r *Response) feature(f field) error {
	switch f.id {
	case 1:
		r.Features.MemoryTracking = f.number != 0
	case 2:
		r.Features.LazyPages = f.number != 0
	}
	return nil
}

// version adds up as criu itself counts: 3.17.1 is 31701.
func (r *Response) version(f field) error {
	switch f.id {
	case 1:
		r.Version += int(f.number) * 10000
	case 2:
		r.Version += int(f.number) * 100
	case 4:
		r.Version += int(f.number)
	}
	return nil
}
