package service

import (
	"context"
	"os"
	"runtime"

	introspection "github.com/containerd/containerd/api/services/introspection/v1"
	version "github.com/containerd/containerd/api/services/version/v1"
	"github.com/containerd/containerd/api/types"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
	"github.com/slipway-engine/slipway/stages/06-manager/filter"
)

// Version answers containerd.services.version.v1.
type Version struct {
	version.UnimplementedVersionServer
	Number, Revision string
}

// Version says which we are.
func (v *Version) Version(context.Context, *emptypb.Empty) (*version.VersionResponse, error) {
	return &version.VersionResponse{Version: v.Number, Revision: v.Revision}, nil
}

// Introspection answers containerd.services.introspection.v1. We have no
// plugins; clients ask for them to learn which snapshotters and platforms there are.
type Introspection struct {
	introspection.UnimplementedIntrospectionServer
	UUID  string
	Parts []*introspection.Plugin
}

// Platform is the one we run containers of.
func Platform() *types.Platform {
	return &types.Platform{OS: runtime.GOOS, Architecture: runtime.GOARCH}
}

// Plugins lists the parts that match.
func (s *Introspection) Plugins(_ context.Context, r *introspection.PluginsRequest) (*introspection.PluginsResponse, error) {
	want, err := filter.Parse(r.GetFilters()...)
	if err != nil {
		return nil, err
	}
	resp := &introspection.PluginsResponse{}
	for _, p := range s.Parts {
		if want.Match(filter.Map(map[string]string{"type": p.GetType(), "id": p.GetID()}, nil)) {
			resp.Plugins = append(resp.Plugins, p)
		}
	}
	return resp, nil
}

// Server says who we are: a client that sees another UUID talks to another store.
func (s *Introspection) Server(context.Context, *emptypb.Empty) (*introspection.ServerResponse, error) {
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &st); err != nil {
		return nil, err
	}
	return &introspection.ServerResponse{UUID: s.UUID, Pid: uint64(os.Getpid()), Pidns: st.Ino}, nil
}

// PluginInfo tells about one.
func (s *Introspection) PluginInfo(_ context.Context, r *introspection.PluginInfoRequest) (*introspection.PluginInfoResponse, error) {
	for _, p := range s.Parts {
		if p.GetType() == r.GetType() && p.GetID() == r.GetID() {
			return &introspection.PluginInfoResponse{Plugin: p}, nil
		}
	}
	return nil, fault.New(fault.NotFound, "plugin %s.%s: not found", r.GetType(), r.GetID())
}
