package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/containerd/ttrpc"

	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"github.com/slipway-engine/slipway/stages/05-shim/event"
	"github.com/slipway-engine/slipway/stages/05-shim/launch"
	"github.com/slipway-engine/slipway/stages/05-shim/reap"
	"github.com/slipway-engine/slipway/stages/05-shim/stdio"
	"github.com/slipway-engine/slipway/stages/05-shim/task"
)

// runInherited serves on the socket that `start` has passed on.
func runInherited(o *options) error {
	listener, err := inheritedListener()
	if err != nil {
		return err
	}
	return runServe(o, listener, func() error { return nil })
}

// runServe is the serving process: this page is its architecture. ready is called when it can
// answer.
func runServe(o *options, listener *net.UnixListener, ready func() error) error {
	tidy := newTidy()
	log := newLog(o.debug)
	if err := launch.Serving(); err != nil {
		return err
	}
	reaper, err := reap.New() // a subreaper before anything is started
	if err != nil {
		return err
	}
	if err := os.Chdir("/"); err != nil { // keep no directory busy
		return err
	}
	events := event.NewQueue(o.namespace, o.publisher(reaper), log)
	groups, err := cgroup.Detect()
	if err != nil {
		log.Warn("no statistics and no notice when memory runs out", "err", err)
	}
	stopped := make(chan struct{})

	config := o.taskConfig(reaper, log)
	config.Streams = stdio.New(stdio.Config{Dir: filepath.Dir(o.socket), Reaper: reaper, Log: log})
	config.Events = events
	config.Cgroups = groups
	config.Stop = func() { close(stopped) }
	service := task.New(config)

	server, err := ttrpc.NewServer(ttrpc.WithUnaryServerInterceptor(tidy.after))
	if err != nil {
		return fmt.Errorf("make ttrpc server: %w", err)
	}
	service.Register(server)
	guard := launch.NewGuard(listener)
	go serve(server, guard, log)
	go obey(service, log)
	go endLoneliness(service, guard)
	if err := ready(); err != nil {
		return err
	}

	<-stopped
	return leave(server, guard, events, o.socket)
}

func inheritedListener() (*net.UnixListener, error) {
	f := os.NewFile(3, "socket")
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("take over the socket on descriptor 3: %w", err)
	}
	listener, ok := l.(*net.UnixListener)
	if !ok {
		l.Close()
		return nil, fmt.Errorf("descriptor 3 is no unix socket")
	}
	return listener, nil
}

func (o *options) publisher(reaper *reap.Reaper) event.Publisher {
	switch address := os.Getenv("TTRPC_ADDRESS"); {
	case address != "":
		return event.NewTTRPC(address)
	case o.publishBinary != "":
		return &event.Program{Path: o.publishBinary, Address: o.address, Reaper: reaper}
	default:
		return event.Nobody{}
	}
}

func serve(server *ttrpc.Server, guard *launch.Guard, log *slog.Logger) {
	if err := server.Serve(context.Background(), guard); err != nil && err != ttrpc.ErrServerClosed {
		log.Error("serve", "err", err)
	}
}

// obey ends an empty shim on SIGTERM; with containers in it, the shim stays: nobody else would.
func obey(service *task.Service, log *slog.Logger) {
	signal.Ignore(syscall.SIGHUP, syscall.SIGPIPE)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	for sig := range signals {
		if !service.ShutdownIfEmpty() {
			log.Warn("signal ignored: containers live here", "signal", sig)
		}
	}
}

func endLoneliness(service *task.Service, guard *launch.Guard) {
	for range time.Tick(task.UselessAfter / 2) {
		if open, lastSeen := guard.Connections(); service.LeaveIfLonely(open, lastSeen) {
			return
		}
	}
}

const (
	lastAnswers = 300 * time.Millisecond // for answers that are on their way
	lastEvents  = 5 * time.Second        // for events the manager has not got yet
)

// leave ends the shim: found by nobody new, with its events delivered, and with the answer to
// Shutdown read. Only the client knows that it has read it; it shows by hanging up.
func leave(server *ttrpc.Server, guard *launch.Guard, events *event.Queue, socket string) error {
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("remove socket: %w", err)
	}
	events.Close(lastEvents)
	guard.AwaitHangUps(lastAnswers)
	return server.Close()
}
