package task

import (
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	api "github.com/containerd/containerd/api/runtime/task/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"github.com/slipway-engine/slipway/stages/05-shim/reap"
	"github.com/slipway-engine/slipway/stages/05-shim/stdio"
)

// Publisher queues an event for the manager.
type Publisher interface {
	Publish(topic string, event proto.Message)
}

// Config is what the service needs.
type Config struct {
	Namespace string
	Version   string // told by Connect
	Runtime   string // the runtime program when Create names none
	Root      string // the runtime's root when Create names none; the namespace is appended
	Debug     bool
	Reaper    *reap.Reaper
	Streams   *stdio.Streams
	Events    Publisher
	Cgroups   *cgroup.Layout // nil: no statistics and no OOM events
	Log       *slog.Logger
	Stop      func() // called once nothing is left to serve; must not wait for the caller
}

// Service is the Task service of one shim. A shim usually holds one container, and those of a
// Kubernetes pod together.
type Service struct {
	Config
	stop func()
	wg   sync.WaitGroup // owners of processes

	mu         sync.Mutex            // guards the fields below
	containers map[string]*container // nil value: being created
	touched    time.Time             // the last call
}

// Every method of the protocol is here, or this does not compile.
var _ api.TTRPCTaskService = (*Service)(nil)

// New makes a service without containers.
func New(c Config) *Service {
	return &Service{Config: c, stop: sync.OnceFunc(c.Stop), containers: map[string]*container{}, touched: time.Now()}
}

func (s *Service) container(id string) (*container, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.touched = time.Now()
	c, known := s.containers[id]
	switch {
	case c != nil:
		return c, nil
	case known: // "not found" would have a manager that was restarted bury it
		return nil, status.Errorf(codes.Unavailable, "container %s: is being created", id)
	default:
		return nil, notFound("container %s", id)
	}
}

func (s *Service) process(id, execID string) (*container, *process, error) {
	c, err := s.container(id)
	if err != nil {
		return nil, nil, err
	}
	p, err := c.process(execID)
	return c, p, err
}

// reserve takes an id for Create; undo gives it back.
func (s *Service) reserve(id string) (undo func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.touched = time.Now()
	if _, taken := s.containers[id]; taken {
		return nil, exists("container %s", id)
	}
	s.containers[id] = nil
	return func() { s.forget(id) }, nil
}

func (s *Service) keep(c *container) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.containers[c.id] = c
}

func (s *Service) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.containers, id)
}

func (s *Service) empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.containers) == 0
}

func (s *Service) list() (all []*container) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.containers {
		if c != nil {
			all = append(all, c)
		}
	}
	return all
}

// checkID refuses what cannot be part of a file name: ids come to lie in paths.
func checkID(kind, id string) error {
	if id == "" || len(id) > 128 || strings.ContainsAny(id, "/\x00") || id[0] == '.' || id[0] == '-' {
		return invalid("%s id %q: want 1 to 128 characters, no slash, no dot or dash in front", kind, id)
	}
	return nil
}

func removeFiles(paths ...string) {
	for _, path := range paths {
		_ = os.Remove(path) // absent is as good
	}
}
