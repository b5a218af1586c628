package applets

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

type httpReply struct {
	conn   net.Conn
	status string
	path   string
	body   io.Reader
}

// httpGet is HTTP/1.1 (RFC 9112) with Connection: close, redirects and chunked bodies; nothing more is needed here.
func httpGet(address string, limit time.Duration, redirects int) (*httpReply, error) {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "http" {
		return nil, fmt.Errorf("%s: only http is built in", address)
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(u.Hostname(), port), limit)
	if err != nil {
		return nil, fmt.Errorf("can't connect to remote host: %w", err)
	}
	if limit > 0 {
		if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
			return nil, closeWith(conn, err)
		}
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: slipway-toolbox\r\nAccept: */*\r\nConnection: close\r\n\r\n", u.RequestURI(), u.Host); err != nil {
		return nil, closeWith(conn, err)
	}
	in := bufio.NewReader(conn)
	status, header, err := readHeader(in)
	if err != nil {
		return nil, closeWith(conn, err)
	}
	reply := &httpReply{conn: conn, status: status, path: u.Path, body: in}
	code := strings.Fields(status + " ? ?")[1]
	if location := header["location"]; code[0] == '3' && location != "" && redirects > 0 {
		next, err := u.Parse(location)
		if err != nil {
			return nil, closeWith(conn, err)
		}
		if err := conn.Close(); err != nil {
			return nil, err
		}
		return httpGet(next.String(), limit, redirects-1)
	}
	if code[0] != '2' {
		return nil, closeWith(conn, fmt.Errorf("server returned error: %s", status))
	}
	switch {
	case strings.EqualFold(header["transfer-encoding"], "chunked"):
		reply.body = &chunked{in: in}
	case header["content-length"] != "":
		n, err := strconv.ParseInt(header["content-length"], 10, 64)
		if err != nil {
			return nil, closeWith(conn, err)
		}
		reply.body = io.LimitReader(in, n)
	}
	return reply, nil
}

func closeWith(conn net.Conn, err error) error {
	_ = conn.Close() // the first error is the one that matters
	return err
}

func readHeader(in *bufio.Reader) (string, map[string]string, error) {
	status, err := in.ReadString('\n')
	if err != nil {
		return "", nil, fmt.Errorf("read the status line: %w", err)
	}
	header := map[string]string{}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return "", nil, fmt.Errorf("read the header: %w", err)
		}
		line = strings.TrimSpace(line)
		if line == "" {
			return strings.TrimSpace(status), header, nil
		}
		name, value, _ := strings.Cut(line, ":")
		header[strings.ToLower(name)] = strings.TrimSpace(value)
	}
}

// chunked decodes a chunked body (RFC 9112, 7.1); trailers are ignored.
type chunked struct {
	in   *bufio.Reader
	left int64
	done bool
}

func (c *chunked) Read(buf []byte) (int, error) {
	for c.left == 0 && !c.done {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return 0, io.ErrUnexpectedEOF
		}
		size, _, _ := strings.Cut(strings.TrimSpace(line), ";")
		if size == "" {
			continue // the line end after the previous chunk
		}
		if c.left, err = strconv.ParseInt(size, 16, 64); err != nil {
			return 0, fmt.Errorf("chunk size: %w", err)
		}
		c.done = c.left == 0
	}
	if c.done {
		return 0, io.EOF
	}
	n, err := c.in.Read(buf[:min(int64(len(buf)), c.left)])
	c.left -= int64(n)
	return n, err
}
