package dbus

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Conn is one connection. It is for one goroutine.
type Conn struct {
	net    net.Conn
	in     *bufio.Reader
	serial uint32
}

// Dial connects to a bus by its address in the form of $DBUS_SYSTEM_BUS_ADDRESS, "unix:path=/run/…" (of several
// the first that answers), says who it is, and, on a bus, says hello. A private socket has just one peer, and no
// greeting: its address starts with "peer:path=".
func Dial(ctx context.Context, addresses string) (*Conn, error) {
	var errs []error
	for address := range strings.SplitSeq(addresses, ";") {
		c, err := dial(ctx, address)
		if err == nil {
			return c, nil
		}
		errs = append(errs, fmt.Errorf("dbus %s: %w", address, err))
	}
	return nil, errors.Join(errs...)
}

func dial(ctx context.Context, address string) (*Conn, error) {
	kind, rest, _ := strings.Cut(address, ":")
	path := ""
	for part := range strings.SplitSeq(rest, ",") {
		if value, ok := strings.CutPrefix(part, "path="); ok {
			path = value
		}
	}
	if kind != "unix" && kind != "peer" || path == "" {
		return nil, errors.New("only unix:path=FILE is known")
	}
	var d net.Dialer
	sock, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	c := &Conn{net: sock, in: bufio.NewReader(sock)}
	if err := c.begin(ctx, kind == "unix"); err != nil {
		return nil, errors.Join(err, sock.Close())
	}
	return c, nil
}

// begin authenticates as the user that the socket shows (section "Authentication Protocol", EXTERNAL).
func (c *Conn) begin(ctx context.Context, bus bool) error {
	defer c.until(ctx)()
	uid := hex.EncodeToString([]byte(strconv.Itoa(Self())))
	if _, err := c.net.Write([]byte("\x00AUTH EXTERNAL " + uid + "\r\n")); err != nil {
		return err
	}
	line, err := c.in.ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(line, "OK ") {
		return fmt.Errorf("refused: %q", strings.TrimSpace(line))
	}
	if _, err := c.net.Write([]byte("BEGIN\r\n")); err != nil || !bus {
		return err
	}
	_, err = c.Call(ctx, Call{
		Destination: "org.freedesktop.DBus", Path: "/org/freedesktop/DBus",
		Interface: "org.freedesktop.DBus", Member: "Hello",
	})
	return err
}

// until breaks reads and writes off when ctx ends.
func (c *Conn) until(ctx context.Context) (stop func() bool) {
	_ = c.net.SetDeadline(time.Time{}) // fails only on a closed connection, and so will the next read
	return context.AfterFunc(ctx, func() { _ = c.net.SetDeadline(time.Unix(1, 0)) })
}

// Error is a refusal by the called side.
type Error struct{ Name, Message string }

func (e *Error) Error() string { return e.Message + " (" + e.Name + ")" }

// Call sends a call and waits for its reply. A refusal is an [*Error]; after any other error the connection
// is of no more use.
func (c *Conn) Call(ctx context.Context, call Call) ([]any, error) {
	defer c.until(ctx)()
	c.serial++
	b, err := call.encode(c.serial)
	if err != nil {
		return nil, err
	}
	if _, err := c.net.Write(b); err != nil {
		return nil, fmt.Errorf("%s: %w", call.Member, err)
	}
	for {
		m, err := read(c.in)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", call.Member, err), context.Cause(ctx))
		}
		switch {
		case m.serial != c.serial:
		case m.kind == methodReply:
			return m.body, nil
		case m.kind == methodError:
			return nil, refused(call, m)
		}
	}
}

func refused(call Call, m *message) error {
	e := &Error{Name: m.name}
	if len(m.body) > 0 {
		e.Message, _ = m.body[0].(string)
	}
	return fmt.Errorf("%s: %w", call.Member, e)
}

// Close ends the connection.
func (c *Conn) Close() error { return c.net.Close() }
