package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/slipway-engine/slipway/stages/05-shim/launch"
	"github.com/slipway-engine/slipway/stages/05-shim/reap"
	"github.com/slipway-engine/slipway/stages/05-shim/task"
)

// runDelete takes away a container whose shim was killed and prints a DeleteResponse.
func runDelete(o *options, stdout io.Writer) error {
	if err := o.complete(); err != nil {
		return err
	}
	reaper, err := reap.New() // the container's processes, orphaned twice, may come to us
	if err != nil {
		return err
	}
	defer reaper.Close()
	response, err := task.Cleanup(o.taskConfig(reaper, slog.New(slog.DiscardHandler)), o.id, o.bundle)
	if err != nil {
		return err
	}
	if err := o.removeDeadSocket(); err != nil {
		return err
	}
	data, err := proto.Marshal(response)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	_, err = stdout.Write(data)
	return err
}

// removeDeadSocket removes the socket the bundle names unless somebody serves on it (the other
// containers of a pod may be well). A start that was killed early has made it without naming it.
func (o *options) removeDeadSocket() error {
	socket := launch.SocketPath(socketDir(), o.address, o.namespace, launch.Group(o.bundle, o.id))
	if address, err := os.ReadFile(filepath.Join(o.bundle, "address")); err == nil {
		socket = strings.TrimPrefix(string(address), "unix://")
	}
	if conn, err := net.DialTimeout("unix", socket, time.Second); err == nil {
		return conn.Close()
	}
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("remove socket: %w", err)
	}
	return nil
}
