package dbus

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestEncodeThenDecode: what is written is what is read, whatever its alignment.
func TestEncodeThenDecode(t *testing.T) {
	for name, c := range map[string]struct{ in, out any }{
		"byte":       {byte(7), byte(7)},
		"bool":       {true, true},
		"string":     {"slice", "slice"},
		"path":       {Path("/a"), Path("/a")},
		"number":     {uint64(1 << 40), uint64(1 << 40)},
		"signed":     {int64(-2), ^uint64(1)},
		"short":      {int16(-1), uint16(65535)},
		"int":        {int32(7), uint32(7)},
		"double":     {2.5, 2.5},
		"bytes":      {[]byte{1, 2}, []any{byte(1), byte(2)}},
		"strings":    {[]string{"a", "bcd"}, []any{"a", "bcd"}},
		"numbers":    {[]uint32{1, 2}, []any{uint32(1), uint32(2)}},
		"pairs":      {Pairs{{"/dev/null", "rwm"}, {"char-*", "m"}}, []any{[]any{"/dev/null", "rwm"}, []any{"char-*", "m"}}},
		"units":      {Units{}, []any{}},
		"variant":    {Variant{uint32(3)}, uint32(3)},
		"properties": {Properties{{"A", true}, {"MemoryMax", uint64(9)}}, []any{[]any{"A", true}, []any{"MemoryMax", uint64(9)}}},
	} {
		sig, err := signature(c.in)
		require.NoError(t, err, name)
		for shift := range 8 {
			e := &encoder{buf: make([]byte, shift)}
			require.NoError(t, e.value(c.in), name)
			d := &decoder{buf: e.buf, at: shift, order: binary.LittleEndian}
			got, err := d.values(sig)
			require.NoError(t, err, name)
			require.Equal(t, []any{c.out}, got, name)
			require.Equal(t, len(e.buf), d.at, name)
		}
	}
	_, err := signature(struct{}{})
	require.EqualError(t, err, "dbus: a value of type struct {} cannot be sent")
}

// reply makes a message as a peer would send it.
func reply(kind byte, serial uint32, name, text string) []byte {
	body := new(encoder)
	body.string(text)
	e := &encoder{buf: []byte{'l', kind, 0, 1}}
	e.uint32(uint32(len(body.buf)))
	e.uint32(99)
	e.array(8, func() {
		e.buf = append(e.buf, fieldReplySerial)
		e.variant(serial)
		e.align(8)
		e.buf = append(e.buf, fieldErrorName)
		e.variant(name)
		e.align(8)
		e.buf = append(e.buf, fieldSignature)
		e.signature("g")
		e.signature("s")
	})
	e.align(8)
	return append(e.buf, body.buf...)
}

// peer answers the authentication, then each call with the answers given, after a signal that nobody asked for.
func peer(t *testing.T, answers ...[]byte) string {
	t.Helper()
	path := t.TempDir() + "/bus"
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		in := bufio.NewReader(c)
		in.ReadString('\n')
		c.Write([]byte("OK 1234\r\n"))
		in.ReadString('\n')
		for _, a := range answers {
			if _, err := read(in); err != nil {
				break
			}
			c.Write(append(reply(4, 0, "x", "a signal"), a...))
		}
		io.Copy(io.Discard, in)
		c.Close()
	}()
	return path
}

func TestCall(t *testing.T) {
	path := peer(t, reply(methodReply, 1, "", "fine"), reply(methodError, 2, "org.x.No", "not today"))
	c, err := Dial(t.Context(), "unix:path=/no/such/socket;peer:path="+path)
	require.NoError(t, err)
	defer c.Close()
	call := Call{Destination: "a.b", Path: "/", Interface: "a.b", Member: "Do", Args: []any{"x", uint64(1), Properties{{"P", []string{"q"}}}}}
	got, err := c.Call(t.Context(), call)
	require.NoError(t, err)
	require.Equal(t, []any{"fine"}, got)
	_, err = c.Call(t.Context(), call)
	require.EqualError(t, err, "Do: not today (org.x.No)")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = c.Call(ctx, call)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestDialRefuses(t *testing.T) {
	for address, want := range map[string]string{
		"tcp:host=x":       "dbus tcp:host=x: only unix:path=FILE is known",
		"unix:path=/no/no": "dbus unix:path=/no/no: dial unix /no/no: connect: no such file or directory",
	} {
		_, err := Dial(t.Context(), address)
		require.EqualError(t, err, want)
	}
}

func TestTypes(t *testing.T) {
	for sig, want := range map[string]int{"s": 1, "asu": 2, "a(sv)b": 5, "a{sv}": 5, "(a(yv)s)": 8} {
		n, err := typeLen(sig, 0)
		require.NoError(t, err, sig)
		require.Equal(t, want, n, sig)
	}
	for _, sig := range []string{"", "a", "(", "()", "(s", "a{}", "z", strings.Repeat("a", 99) + "s"} {
		_, err := typeLen(sig, 0)
		require.Error(t, err, sig)
	}
}

// FuzzRead: no message of a hostile peer makes the reader fall over.
func FuzzRead(f *testing.F) {
	f.Add(reply(methodReply, 1, "", "fine"))
	f.Add(reply(methodError, 2, "org.x.No", "not today"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := read(bytes.NewReader(data))
		if err == nil && m == nil {
			t.Fatal("neither a message nor an error")
		}
	})
}
