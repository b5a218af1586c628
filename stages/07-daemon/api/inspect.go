package api

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/storage"

	"github.com/slipway-engine/slipway/stages/07-daemon/engine"
	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
	slipwaynet "github.com/slipway-engine/slipway/stages/07-daemon/network"
)

const zeroTime = "0001-01-01T00:00:00Z"

func stamp(t time.Time) string {
	if t.IsZero() {
		return zeroTime
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func (s *Server) containerInspect(w http.ResponseWriter, r *http.Request) error {
	c, err := s.Engine.Get(r.PathValue("id"))
	if err != nil {
		return err
	}
	v := c.View()
	out := inspect(v)
	if boolean(r, "size") {
		rw, root, err := s.sizes(r, v)
		if err != nil {
			return err
		}
		out.SizeRw, out.SizeRootFs = &rw, &root
	}
	out.Driver = s.About.Snapshotter
	out.GraphDriver = &storage.DriverData{Name: s.About.Snapshotter, Data: map[string]string{}}
	body, err := inspectShape(out, v, versionOf(r.Context()))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, body)
}

func (s *Server) sizes(r *http.Request, v engine.View) (rw, root int64, err error) {
	if rw, err = s.Engine.Snapshots.SnapshotSize(r.Context(), v.ID); err != nil {
		return 0, 0, err
	}
	root = rw
	if img, err := s.Images.Get(r.Context(), v.ImageID.String()); err == nil {
		root += s.Images.Size(r.Context(), img)
	}
	return rw, root, nil
}

// inspect is Docker's long description of a container.
func inspect(v engine.View) container.InspectResponse {
	args := append(append([]string{}, v.Config.Entrypoint...), v.Config.Cmd...)
	return container.InspectResponse{
		ID: v.ID, Created: stamp(v.Created), Path: args[0], Args: args[1:], State: state(v), Image: v.ImageID.String(),
		ResolvConfPath: v.Dir + "/resolv.conf", HostnamePath: v.Dir + "/hostname", HostsPath: v.Dir + "/hosts",
		LogPath: v.LogPath(), Name: "/" + v.Name, RestartCount: v.RestartCount, Platform: "linux",
		ExecIDs: v.Execs, HostConfig: v.HostConfig, Mounts: mountPoints(v), Config: v.Config,
		NetworkSettings: &container.NetworkSettings{
			SandboxID: sandboxID(v), SandboxKey: sandboxKey(v), Ports: ports(v), Networks: networks(v),
		},
	}
}

func state(v engine.View) *container.State {
	st := &container.State{
		Status: v.Status, Running: v.Running() || v.Status == container.StateRestarting, Paused: v.Status == container.StatePaused,
		Restarting: v.Status == container.StateRestarting, Dead: v.Status == container.StateDead,
		Pid: v.Pid, StartedAt: stamp(v.Started), FinishedAt: zeroTime,
	}
	if l := v.Last; l != nil {
		st.FinishedAt = stamp(l.At)
		if !v.Running() {
			st.ExitCode, st.OOMKilled, st.Error = l.Code, l.OOM, l.Error
		}
	}
	return st
}

func mountPoints(v engine.View) []container.MountPoint {
	out := []container.MountPoint{}
	for _, m := range v.Mounts {
		p := container.MountPoint{
			Type: m.Type, Name: m.Name, Source: m.Source, Destination: m.Destination, Mode: m.Mode, RW: !m.ReadOnly,
			Propagation: m.Propagation,
		}
		switch m.Type {
		case mount.TypeVolume:
			p.Driver = "local"
		case mount.TypeBind:
			p.Propagation = cmp.Or(p.Propagation, mount.PropagationRPrivate)
		}
		out = append(out, p)
	}
	return out
}

func sandboxID(v engine.View) string {
	if v.Endpoint == nil {
		return ""
	}
	return v.Endpoint.EndpointID
}

func sandboxKey(v engine.View) string {
	if v.Endpoint == nil {
		return ""
	}
	return v.Endpoint.NetnsPath
}

// ports maps every exposed or published port to where it can be reached on the host.
func ports(v engine.View) network.PortMap {
	out := network.PortMap{}
	if !v.Running() || v.Endpoint == nil || v.Endpoint.Mode != slipwaynet.ModeBridge {
		return out
	}
	for p := range v.Config.ExposedPorts {
		out[p] = nil
	}
	for _, p := range v.Endpoint.Ports {
		port, ok := network.PortFrom(p.ContainerPort, network.IPProtocol(p.Proto))
		if ok {
			out[port] = append(out[port], network.PortBinding{HostIP: p.HostIP, HostPort: strconv.Itoa(int(p.HostPort))})
		}
	}
	return out
}

func networks(v engine.View) map[string]*network.EndpointSettings {
	name := string(v.HostConfig.NetworkMode)
	if strings.HasPrefix(name, "container:") {
		return map[string]*network.EndpointSettings{}
	}
	es := v.Networking[name].Copy()
	if es == nil {
		es = &network.EndpointSettings{}
	}
	es.NetworkID = networkID(name)
	es.EndpointID, es.Gateway, es.IPAddress, es.IPPrefixLen = "", netip.Addr{}, netip.Addr{}, 0
	if ep := v.Endpoint; ep != nil && v.Running() {
		es.EndpointID, es.Gateway = ep.EndpointID, ep.Gateway
		if ep.IPv4.IsValid() {
			es.IPAddress, es.IPPrefixLen = ep.IPv4.Addr(), ep.IPv4.Bits()
		}
		_ = es.MacAddress.UnmarshalText([]byte(ep.MAC))
		es.DNSNames = ep.DNSNames
	}
	return map[string]*network.EndpointSettings{name: es}
}

// inspectShape adds the fields that answers of API 1.51 and older have beside the new ones.
func inspectShape(out container.InspectResponse, v engine.View, version Version) (any, error) {
	if version >= 52 {
		return out, nil
	}
	var ip, mac, gateway string
	prefix, endpoint := 0, ""
	if es := out.NetworkSettings.Networks[network.NetworkBridge]; es != nil {
		if es.IPAddress.IsValid() {
			ip = es.IPAddress.String()
		}
		if es.Gateway.IsValid() {
			gateway = es.Gateway.String()
		}
		mac, prefix, endpoint = es.MacAddress.String(), es.IPPrefixLen, es.EndpointID
	}
	return merged(out, map[string]any{"NetworkSettings": map[string]any{
		"Bridge": "", "HairpinMode": false, "LinkLocalIPv6Address": "", "LinkLocalIPv6PrefixLen": 0,
		"SecondaryIPAddresses": nil, "SecondaryIPv6Addresses": nil, "EndpointID": endpoint, "Gateway": gateway,
		"GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0, "IPAddress": ip, "IPPrefixLen": prefix, "IPv6Gateway": "",
		"MacAddress": mac,
	}})
}

// merged is v as JSON with more fields laid over it, at any depth.
func merged(v any, more map[string]any) (map[string]any, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.UseNumber()
	if err := dec.Decode(&out); err != nil {
		return nil, err
	}
	overlay(out, more)
	return out, nil
}

func overlay(base, more map[string]any) {
	for k, v := range more {
		if inner, ok := v.(map[string]any); ok {
			if have, ok := base[k].(map[string]any); ok {
				overlay(have, inner)
				continue
			}
		}
		base[k] = v
	}
}

func (s *Server) containerList(w http.ResponseWriter, r *http.Request) error {
	f, err := parseFilters(r, "id", "name", "label", "status", "ancestor", "before", "since", "exited", "volume",
		"network", "publish", "expose", "health", "is-task", "isolation")
	if err != nil {
		return err
	}
	limit, err := integer(r, "limit", 0)
	if err != nil {
		return err
	}
	pick, err := s.picker(r, f)
	if err != nil {
		return err
	}
	all := boolean(r, "all") || limit > 0 || len(f["status"]) > 0 || len(f["exited"]) > 0
	out := []container.Summary{}
	views := s.views()
	for _, v := range views {
		if !all && !v.Running() && v.Status != container.StateRestarting || !pick(v) {
			continue
		}
		if limit > 0 && len(out) == limit {
			break
		}
		item := summary(v)
		if boolean(r, "size") {
			if item.SizeRw, item.SizeRootFs, err = s.sizes(r, v); err != nil {
				return err
			}
		}
		out = append(out, item)
	}
	return writeJSON(w, http.StatusOK, out)
}

// views are all containers, newest first.
func (s *Server) views() []engine.View {
	var out []engine.View
	for _, c := range s.Engine.All() {
		out = append(out, c.View())
	}
	slices.SortFunc(out, func(a, b engine.View) int { return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID)) })
	return out
}

// picker is the filter as a function.
func (s *Server) picker(r *http.Request, f filters) (func(engine.View) bool, error) {
	for _, word := range f["status"] {
		if err := container.ValidateContainerState(container.ContainerState(word)); err != nil {
			return nil, fault.Invalid("%w", err)
		}
	}
	bounds := map[string]time.Time{}
	for _, key := range []string{"before", "since"} {
		for _, ref := range f[key] {
			c, err := s.Engine.Get(ref)
			if err != nil {
				return nil, err
			}
			bounds[key] = c.View().Created
		}
	}
	ancestors := map[string]bool{}
	for _, ref := range f["ancestor"] {
		if img, err := s.Images.Get(r.Context(), ref); err == nil {
			ancestors[img.ID.String()] = true
		}
	}
	return func(v engine.View) bool {
		code := 0
		if v.Last != nil {
			code = v.Last.Code
		}
		return f.any("id", func(x string) bool { return strings.HasPrefix(v.ID, x) }) &&
			f.any("name", func(x string) bool { return nameMatches(x, v.Name) }) &&
			f.labels(v.Config.Labels) &&
			f.any("status", func(x string) bool { return x == string(v.Status) }) &&
			f.any("exited", func(x string) bool {
				return x == strconv.Itoa(code) && v.Status == container.StateExited
			}) &&
			(len(f["ancestor"]) == 0 || ancestors[v.ImageID.String()]) &&
			(len(f["before"]) == 0 || v.Created.Before(bounds["before"])) &&
			(len(f["since"]) == 0 || v.Created.After(bounds["since"])) &&
			f.any("network", func(x string) bool {
				return x == string(v.HostConfig.NetworkMode) || x == networkID(string(v.HostConfig.NetworkMode))
			}) &&
			f.any("health", func(x string) bool { return x == "none" }) &&
			f.any("is-task", func(x string) bool { return x == "false" || x == "0" }) &&
			f.any("volume", func(x string) bool {
				return slices.ContainsFunc(v.Mounts, func(m engine.MountPoint) bool { return m.Name == x || m.Destination == x || m.Source == x })
			}) &&
			f.any("publish", func(x string) bool { return portIn(x, publishedPorts(v)) }) &&
			f.any("expose", func(x string) bool { return portIn(x, exposedPorts(v)) })
	}, nil
}

func portIn(text string, have map[network.Port]bool) bool {
	pr, err := network.ParsePortRange(text)
	if err != nil {
		return false
	}
	for p := range pr.All() {
		if have[p] {
			return true
		}
	}
	return false
}

func publishedPorts(v engine.View) map[network.Port]bool {
	out := map[network.Port]bool{}
	for p := range v.HostConfig.PortBindings {
		out[p] = true
	}
	return out
}

func exposedPorts(v engine.View) map[network.Port]bool {
	out := publishedPorts(v)
	for p := range v.Config.ExposedPorts {
		out[p] = true
	}
	return out
}

// summary is one line of docker ps.
func summary(v engine.View) container.Summary {
	args := append(append([]string{}, v.Config.Entrypoint...), v.Config.Cmd...)
	out := container.Summary{
		ID: v.ID, Names: []string{"/" + v.Name}, Image: v.Image, ImageID: v.ImageID.String(), Command: command(args),
		Created: v.Created.Unix(), Ports: portSummaries(v), Labels: v.Config.Labels, State: v.Status,
		Status: statusText(v, time.Now()), Mounts: mountPoints(v),
		NetworkSettings: &container.NetworkSettingsSummary{Networks: networks(v)},
	}
	out.HostConfig.NetworkMode = string(v.HostConfig.NetworkMode)
	out.HostConfig.Annotations = v.HostConfig.Annotations
	return out
}

func command(args []string) string {
	var b strings.Builder
	for i, a := range args {
		if i > 0 {
			b.WriteByte(' ')
		}
		if strings.Contains(a, " ") {
			a = "'" + a + "'"
		}
		b.WriteString(a)
	}
	return b.String()
}

func portSummaries(v engine.View) []container.PortSummary {
	out := []container.PortSummary{}
	for p, bindings := range ports(v) {
		if len(bindings) == 0 {
			out = append(out, container.PortSummary{PrivatePort: p.Num(), Type: string(p.Proto())})
		}
		for _, b := range bindings {
			public, err := strconv.ParseUint(b.HostPort, 10, 16)
			if err == nil {
				out = append(out, container.PortSummary{IP: b.HostIP, PrivatePort: p.Num(), PublicPort: uint16(public), Type: string(p.Proto())})
			}
		}
	}
	slices.SortFunc(out, func(a, b container.PortSummary) int {
		return cmp.Or(cmp.Compare(a.PrivatePort, b.PrivatePort), cmp.Compare(a.PublicPort, b.PublicPort), a.IP.Compare(b.IP))
	})
	return out
}

// statusText is the STATUS column: "Up 3 minutes", "Exited (0) 2 hours ago".
func statusText(v engine.View, now time.Time) string {
	ago := func(t time.Time) string { return units.HumanDuration(now.Sub(t)) }
	code, at := 0, v.Created
	if v.Last != nil {
		code, at = v.Last.Code, v.Last.At
	}
	switch v.Status {
	case container.StateRunning:
		return "Up " + ago(v.Started)
	case container.StatePaused:
		return "Up " + ago(v.Started) + " (Paused)"
	case container.StateRestarting:
		return fmt.Sprintf("Restarting (%d) %s ago", code, ago(at))
	case container.StateRemoving:
		return "Removal In Progress"
	case container.StateDead:
		return "Dead"
	case container.StateExited:
		return fmt.Sprintf("Exited (%d) %s ago", code, ago(at))
	}
	return "Created"
}
