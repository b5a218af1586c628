package api

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/moby/moby/api/types/network"

	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
)

// networkID is a stable id for one of the three networks that always exist.
func networkID(name string) string {
	sum := sha256.Sum256([]byte("slipway network " + name))
	return hex.EncodeToString(sum[:])
}

// predefined are the networks there are: a bridge, the host's, and none.
func (s *Server) predefined() []network.Inspect {
	var out []network.Inspect
	for _, n := range []struct{ name, driver string }{
		{network.NetworkBridge, "bridge"}, {network.NetworkHost, "host"}, {network.NetworkNone, "null"},
	} {
		i := network.Inspect{Containers: map[string]network.EndpointResource{}}
		i.Name, i.ID, i.Driver, i.Scope, i.Created, i.EnableIPv4 = n.name, networkID(n.name), n.driver, "local", s.started, true
		i.IPAM = network.IPAM{Driver: "default", Config: []network.IPAMConfig{}}
		i.Options, i.Labels = map[string]string{}, map[string]string{}
		if n.driver == "bridge" {
			i.IPAM.Config = append(i.IPAM.Config, network.IPAMConfig{Subnet: s.Bridge.Subnet, Gateway: s.Bridge.Gateway})
			i.Options = map[string]string{
				"com.docker.network.bridge.default_bridge": "true", "com.docker.network.bridge.name": s.Bridge.Bridge,
			}
		}
		out = append(out, i)
	}
	return out
}

// members fills in the running containers of a network.
func (s *Server) members(n *network.Inspect) {
	for _, c := range s.Engine.All() {
		v := c.View()
		if !v.Running() || v.Endpoint == nil || string(v.HostConfig.NetworkMode) != n.Name {
			continue
		}
		r := network.EndpointResource{Name: v.Name, EndpointID: v.Endpoint.EndpointID, IPv4Address: v.Endpoint.IPv4}
		_ = r.MacAddress.UnmarshalText([]byte(v.Endpoint.MAC))
		n.Containers[v.ID] = r
	}
}

func (s *Server) networkList(w http.ResponseWriter, r *http.Request) error {
	f, err := parseFilters(r, "driver", "type", "name", "id", "label", "scope", "dangling")
	if err != nil {
		return err
	}
	out := []network.Summary{}
	for _, n := range s.predefined() {
		if f.any("name", func(x string) bool { return nameMatches(x, n.Name) }) &&
			f.any("id", func(x string) bool { return strings.HasPrefix(n.ID, x) }) &&
			f.any("driver", func(x string) bool { return x == n.Driver }) &&
			f.any("scope", func(x string) bool { return x == n.Scope }) &&
			f.any("type", func(x string) bool { return x == "builtin" }) &&
			f.any("dangling", func(x string) bool { return x == "false" || x == "0" }) && f.labels(n.Labels) {
			out = append(out, network.Summary{Network: n.Network})
		}
	}
	return writeJSON(w, http.StatusOK, out)
}

func (s *Server) findNetwork(ref string) (network.Inspect, error) {
	for _, n := range s.predefined() {
		if ref == n.Name || len(ref) >= 3 && strings.HasPrefix(n.ID, ref) {
			return n, nil
		}
	}
	return network.Inspect{}, fault.NotFound("network %s not found", ref)
}

func (s *Server) networkInspect(w http.ResponseWriter, r *http.Request) error {
	n, err := s.findNetwork(r.PathValue("id"))
	if err != nil {
		return err
	}
	s.members(&n)
	return writeJSON(w, http.StatusOK, n)
}

func (s *Server) networkCreate(_ http.ResponseWriter, r *http.Request) error {
	var req network.CreateRequest
	if err := readJSON(r, &req, false); err != nil {
		return err
	}
	if _, err := s.findNetwork(req.Name); err == nil {
		return fault.Conflict("network with name %s already exists", req.Name)
	}
	return fault.NotImplemented("networks of one's own are not served by this engine yet: there are bridge, host and none")
}

func (s *Server) networkRemove(_ http.ResponseWriter, r *http.Request) error {
	n, err := s.findNetwork(r.PathValue("id"))
	if err != nil {
		return err
	}
	return fault.Forbidden("%s is a pre-defined network and cannot be removed", n.Name)
}

func (s *Server) networkPrune(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, network.PruneReport{NetworksDeleted: []string{}})
}
