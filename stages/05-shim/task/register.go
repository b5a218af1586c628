package task

import (
	"context"

	"github.com/containerd/ttrpc"
)

// Register offers the service under version 2 and 3 of the protocol, which have the same messages.
// The published description of version 3 is not used because it links all of grpc.
func (s *Service) Register(server *ttrpc.Server) {
	for _, version := range []string{"containerd.task.v2.Task", "containerd.task.v3.Task"} {
		server.RegisterService(version, &ttrpc.ServiceDesc{Methods: s.methods()})
	}
}

func (s *Service) methods() map[string]ttrpc.Method {
	return map[string]ttrpc.Method{
		"State": method(s.State), "Create": method(s.Create), "Start": method(s.Start),
		"Delete": method(s.Delete), "Pids": method(s.Pids), "Pause": method(s.Pause),
		"Resume": method(s.Resume), "Checkpoint": method(s.Checkpoint), "Kill": method(s.Kill),
		"Exec": method(s.Exec), "ResizePty": method(s.ResizePty), "CloseIO": method(s.CloseIO),
		"Update": method(s.Update), "Wait": method(s.Wait), "Stats": method(s.Stats),
		"Connect": method(s.Connect), "Shutdown": method(s.Shutdown),
	}
}

func method[Request, Response any](call func(context.Context, *Request) (*Response, error)) ttrpc.Method {
	return func(ctx context.Context, unmarshal func(any) error) (any, error) {
		request := new(Request)
		if err := unmarshal(request); err != nil {
			return nil, err
		}
		return call(ctx, request)
	}
}
