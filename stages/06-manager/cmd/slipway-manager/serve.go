package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc"
)

// stopTime is how long running requests may take when we are told to stop.
// Subscriptions never end by themselves.
const stopTime = 5 * time.Second

// listen opens both sockets before anything is served, so that a shim that we
// adopt finds somebody to publish to.
func (m *manager) listen(address string) error {
	for i, path := range []string{address, address + ".ttrpc"} {
		l, err := listenUnix(path)
		if err != nil {
			return err
		}
		m.listeners[i] = l
		m.closers = append(m.closers, func() error { return ignoreClosed(l.Close()) })
	}
	return nil
}

// listenUnix replaces the socket that an earlier manager left. We hold the lock
// on the metadata, so nobody serves it; a live one belongs to another root.
func listenUnix(path string) (net.Listener, error) {
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return nil, fmt.Errorf("listen on %s: somebody is serving there", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// serve runs until ctx ends. Containers do not notice.
func (m *manager) serve(ctx context.Context) error {
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() { m.reaper.Serve(work) })
	wg.Go(func() { m.collector.Run(work) })
	if err := m.tasks.Load(work); err != nil {
		m.log.Error("load tasks", "error", err)
	}
	failed := make(chan error, 2)
	wg.Go(func() { failed <- m.ttrpc.Serve(work, m.listeners[1]) })
	wg.Go(func() { failed <- m.grpc.Serve(m.listeners[0]) })
	m.collector.Ask() // what a crash left unreferenced
	m.log.Info("serving", "address", m.listeners[0].Addr(), "pid", os.Getpid())

	var err error
	select {
	case <-ctx.Done():
		m.log.Info("stopping; containers go on")
	case err = <-failed:
	}
	m.stop()
	stopWork()
	m.tasks.Close()
	wg.Wait()
	return errors.Join(ignoreClosed(err), m.close())
}

// stop lets running requests finish, but not for ever.
func (m *manager) stop() {
	force := time.AfterFunc(stopTime, m.grpc.Stop)
	defer force.Stop()
	m.grpc.GracefulStop()
	if err := ignoreClosed(m.ttrpc.Close()); err != nil {
		m.log.Warn("stop serving shims", "error", err)
	}
}

func (m *manager) close() error {
	var errs []error
	for i := len(m.closers) - 1; i >= 0; i-- {
		errs = append(errs, m.closers[i]())
	}
	m.closers = nil
	return errors.Join(errs...)
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, ttrpc.ErrServerClosed) || errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return err
}

// shimLog passes on what shims say, line by line.
type shimLog struct{ log *slog.Logger }

func (s shimLog) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		s.log.Info("shim", "says", strings.TrimSpace(line))
	}
	return len(p), nil
}
