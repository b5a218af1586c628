package task

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/api/events"
	api "github.com/containerd/containerd/api/runtime/task/v2"
	runc "github.com/containerd/containerd/api/types/runc/options"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/slipway-engine/slipway/stages/05-shim/oci"
)

// Checkpoint writes the container's processes to files in r.Path. It ends the container only if the options say so.
func (s *Service) Checkpoint(_ context.Context, r *api.CheckpointTaskRequest) (*emptypb.Empty, error) {
	c, err := s.made(r.ID)
	if err != nil {
		return nil, err
	}
	o, err := checkpointOptions(r.Options)
	if err != nil {
		return nil, err
	}
	if r.Path != "" {
		o.ImagePath = r.Path
	}
	if !filepath.IsAbs(o.ImagePath) {
		return nil, invalid("checkpoint of container %s: path %q is not absolute", c.id, o.ImagePath)
	}
	done, err := criuWork(c.bundle, &o.WorkPath)
	if err == nil {
		err = c.runtime.Checkpoint(c.id, c.bundle, o)
	}
	if err == nil {
		err = done()
	}
	if err != nil {
		return nil, failed("checkpoint container "+c.id, err) // criu's log stays in the bundle
	}
	s.Events.Publish(topicCheckpointed, &events.TaskCheckpointed{ContainerID: c.id, Checkpoint: o.ImagePath})
	return &emptypb.Empty{}, nil
}

// checkpointOptions reads containerd.runc.v1.CheckpointOptions; nil means that the container goes on.
func checkpointOptions(any *anypb.Any) (oci.CheckpointOptions, error) {
	if any == nil || len(any.Value) == 0 {
		return oci.CheckpointOptions{LeaveRunning: true}, nil
	}
	if name := any.TypeUrl[strings.LastIndexByte(any.TypeUrl, '/')+1:]; name != "containerd.runc.v1.CheckpointOptions" {
		return oci.CheckpointOptions{}, invalid("options of type %q: want containerd.runc.v1.CheckpointOptions", any.TypeUrl)
	}
	var o runc.CheckpointOptions
	if err := proto.Unmarshal(any.Value, &o); err != nil {
		return oci.CheckpointOptions{}, invalid("options %s: %v", any.TypeUrl, err)
	}
	return oci.CheckpointOptions{
		LeaveRunning: !o.Exit, ParentPath: o.ParentPath,
		CRIUOptions: oci.CRIUOptions{
			ImagePath: o.ImagePath, WorkPath: o.WorkPath, TCPEstablished: o.OpenTcp,
			ExternalUnixSockets: o.ExternalUnixSockets, ShellJob: o.Terminal, FileLocks: o.FileLocks,
			EmptyNamespaces: o.EmptyNamespaces, CgroupsMode: o.CgroupsMode,
		},
	}, nil
}
