package task

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	api "github.com/containerd/containerd/api/runtime/task/v2"
	"google.golang.org/protobuf/types/known/emptypb"
)

// How long a shim stays that nobody is connected to: LonelyAfter, when nothing runs in it but a
// manager that comes back has something to find; UselessAfter, when nobody could ask for anything:
// no container, or none whose bundle is still there.
const (
	LonelyAfter  = 10 * time.Minute
	UselessAfter = 10 * time.Second
)

// Shutdown ends the shim once it holds no container.
func (s *Service) Shutdown(context.Context, *api.ShutdownRequest) (*emptypb.Empty, error) {
	if s.empty() {
		s.stop()
	}
	return &emptypb.Empty{}, nil
}

// ShutdownIfEmpty is for a termination signal: whoever sends it, containers come first.
func (s *Service) ShutdownIfEmpty() bool {
	if !s.empty() {
		return false
	}
	s.stop()
	return true
}

// solitude is what decides whether a shim leaves by itself.
type solitude struct {
	connections int
	quiet       time.Duration // since the last call or the last connection's end
	running     bool          // a container runs
	useless     bool          // it holds no container that has a bundle
}

// leaves: nobody adopted this shim and nothing runs, so nobody would ever end it.
func (f solitude) leaves() bool {
	patience := LonelyAfter
	if f.useless {
		patience = UselessAfter
	}
	return f.connections == 0 && !f.running && f.quiet >= patience
}

// LeaveIfLonely takes away what is left and stops, if nobody has come for a while and nothing runs.
// Exit records stay in the bundles. lastSeen is when the last connection ended.
func (s *Service) LeaveIfLonely(connections int, lastSeen time.Time) bool {
	f := solitude{connections: connections, quiet: s.quietSince(lastSeen), useless: !s.creating()}
	for _, c := range s.list() {
		f.running = f.running || c.init.hasStarted() && !c.init.hasEnded()
		f.useless = f.useless && !c.hasBundle()
	}
	if !f.leaves() {
		return false
	}
	for _, c := range s.list() {
		if err := s.deleteInit(c); err != nil {
			s.Log.Error("take away a container nobody asks for", "container", c.id, "err", err)
			continue
		}
	}
	s.Log.Warn("nobody came and nothing runs: leaving", "after", f.quiet)
	s.stop()
	return true
}

// creating says whether a Create is under way.
func (s *Service) creating() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.containers {
		if c == nil {
			return true
		}
	}
	return false
}

// hasBundle is false when a manager has taken the bundle away: it has forgotten the container.
func (c *container) hasBundle() bool {
	_, err := os.Stat(c.bundle)
	return !errors.Is(err, fs.ErrNotExist)
}

func (s *Service) quietSince(lastSeen time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.touched.After(lastSeen) {
		lastSeen = s.touched
	}
	return time.Since(lastSeen)
}
