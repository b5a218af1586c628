package api

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/07-daemon/engine"
	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
	"github.com/slipway-engine/slipway/stages/07-daemon/logs"
)

const (
	rawStream         = "application/vnd.docker.raw-stream"
	multiplexedStream = "application/vnd.docker.multiplexed-stream"
)

// hijack takes the connection out of HTTP and runs the session on it: bytes both ways until the session ends.
func hijack(w http.ResponseWriter, r *http.Request, s engine.Session) error {
	h, ok := w.(http.Hijacker)
	if !ok {
		return fault.System("the connection cannot be taken over")
	}
	conn, buffered, err := h.Hijack()
	if err != nil {
		return fault.System("take over the connection: %w", err)
	}
	defer conn.Close()
	if err := writeHead(conn, r, s.Tty); err != nil {
		return nil
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	go watchHangup(ctx, conn, cancel)
	if err := s.Run(ctx, remaining(conn, buffered), conn); err != nil && ctx.Err() == nil {
		_ = logs.Framer{W: conn, Raw: s.Tty}.Write(logs.SystemError, []byte(err.Error()))
	}
	if c, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite()
	}
	return nil
}

// writeHead writes the answer by hand: 101 UPGRADED to those who asked for an upgrade, 200 to the others.
func writeHead(conn net.Conn, r *http.Request, tty bool) error {
	kind := rawStream
	if !tty && versionOf(r.Context()) >= 42 {
		kind = multiplexedStream
	}
	head := "HTTP/1.1 200 OK\r\nContent-Type: " + kind + "\r\n\r\n"
	if r.Header.Get("Upgrade") != "" {
		head = "HTTP/1.1 101 UPGRADED\r\nContent-Type: " + kind + "\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
	}
	_, err := io.WriteString(conn, head)
	return err
}

// remaining is what the server had read ahead, then the connection.
func remaining(conn net.Conn, buffered *bufio.ReadWriter) io.Reader {
	if n := buffered.Reader.Buffered(); n > 0 {
		ahead, _ := buffered.Peek(n)
		return io.MultiReader(strings.NewReader(string(ahead)), conn)
	}
	return conn
}

// watchHangup ends the session when the other side has closed its connection for good. A client that has only
// ended its input still reads, so the end of the input says nothing; the kernel knows the difference (POLLHUP).
func watchHangup(ctx context.Context, conn net.Conn, gone func()) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		hup := false
		err := raw.Control(func(fd uintptr) {
			fds := []unix.PollFd{{Fd: int32(fd)}}
			_, _ = unix.Poll(fds, 0)
			hup = fds[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
		})
		if err != nil || hup {
			gone()
			return
		}
	}
}
