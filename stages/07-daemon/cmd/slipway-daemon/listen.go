package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const defaultHost = "unix:///run/slipway/slipway.sock"

// listen opens all sockets, or none.
func listen(hosts []string, group string) (all []net.Listener, err error) {
	if len(hosts) == 0 {
		hosts = []string{defaultHost}
	}
	defer func() {
		if err != nil {
			for _, l := range all {
				_ = l.Close()
			}
		}
	}()
	for _, host := range hosts {
		l, err := listenOne(host, group)
		if err != nil {
			return all, fmt.Errorf("listen on %s: %w", host, err)
		}
		all = append(all, l)
	}
	return all, nil
}

func listenOne(host, group string) (net.Listener, error) {
	scheme, address, ok := strings.Cut(host, "://")
	if !ok {
		return nil, errors.New("want unix://PATH or tcp://ADDRESS:PORT")
	}
	switch scheme {
	case "unix":
		return listenUnix(address, group)
	case "tcp":
		name, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		if ip := net.ParseIP(name); name != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return nil, errors.New("only loopback addresses are served without TLS: whoever reaches this socket is root")
		}
		return net.Listen("tcp", address)
	}
	return nil, fmt.Errorf("protocol %q is not served", scheme)
}

// listenUnix makes the socket with mode 0660. A stale one is replaced; the lock on the pid file has shown before
// that no other daemon uses our roots, and a living one elsewhere would answer.
func listenUnix(path, group string) (net.Listener, error) {
	if conn, err := net.Dial("unix", path); err == nil {
		_ = conn.Close()
		return nil, errors.New("another daemon serves this socket")
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	old := unix.Umask(0o117) // from the first moment on nobody else may connect
	l, err := net.Listen("unix", path)
	unix.Umask(old)
	if err != nil {
		return nil, err
	}
	if g, err := user.LookupGroup(group); err == nil {
		gid, err := strconv.Atoi(g.Gid)
		if err == nil {
			err = os.Chown(path, -1, gid)
		}
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	return l, nil
}

// lockPidfile writes our pid and holds a lock for as long as we live: the kernel lets it go, however we end.
func lockPidfile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		data, _ := os.ReadFile(path)
		_ = f.Close()
		return nil, fmt.Errorf("another daemon runs (pid %s, %s): %w", strings.TrimSpace(string(data)), path, err)
	}
	if err := f.Truncate(0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if _, err := fmt.Fprintf(f, "%d\n", os.Getpid()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
