package api

import "strings"

// route is one line of the table. A pattern is literal segments, {name} for one segment, and {name...} for one or
// more (images' names contain slashes).
type route struct {
	method, pattern string
	handle          handler
}

// find returns the first route that fits and the values of its names.
func find(routes []route, method, path string) (*route, map[string]string) {
	segments := strings.Split(strings.Trim(path, "/"), "/")
	for i := range routes {
		if routes[i].method != method {
			continue
		}
		values := map[string]string{}
		if match(strings.Split(strings.Trim(routes[i].pattern, "/"), "/"), segments, values) {
			return &routes[i], values
		}
	}
	return nil, nil
}

func match(pattern, segments []string, values map[string]string) bool {
	if len(pattern) == 0 {
		return len(segments) == 0
	}
	name, isName := strings.CutPrefix(pattern[0], "{")
	name = strings.TrimSuffix(name, "}")
	greedy := strings.HasSuffix(name, "...")
	switch {
	case len(segments) == 0:
		return false
	case !isName:
		return pattern[0] == segments[0] && match(pattern[1:], segments[1:], values)
	case !greedy:
		if segments[0] == "" || !match(pattern[1:], segments[1:], values) {
			return false
		}
		values[name] = segments[0]
		return true
	}
	for n := len(segments) - len(pattern) + 1; n >= 1; n-- {
		if match(pattern[1:], segments[n:], values) {
			values[strings.TrimSuffix(name, "...")] = strings.Join(segments[:n], "/")
			return true
		}
	}
	return false
}

// table is the whole API: what is not here is "page not found".
func (s *Server) table() []route {
	return []route{
		{"GET", "/_ping", s.ping},
		{"HEAD", "/_ping", s.ping},
		{"GET", "/version", s.version},
		{"GET", "/info", s.info},
		{"POST", "/auth", s.auth},
		{"GET", "/events", s.events},
		{"GET", "/system/df", s.diskUsage},
		{"GET", "/slipway/jobs", s.jobs},

		{"GET", "/containers/json", s.containerList},
		{"POST", "/containers/create", s.containerCreate},
		{"POST", "/containers/prune", s.containerPrune},
		{"GET", "/containers/{id}/json", s.containerInspect},
		{"GET", "/containers/{id}/top", s.containerTop},
		{"GET", "/containers/{id}/logs", s.containerLogs},
		{"GET", "/containers/{id}/stats", s.containerStats},
		{"POST", "/containers/{id}/start", s.containerStart},
		{"POST", "/containers/{id}/stop", s.containerStop},
		{"POST", "/containers/{id}/restart", s.containerRestart},
		{"POST", "/containers/{id}/kill", s.containerKill},
		{"POST", "/containers/{id}/pause", s.containerPause},
		{"POST", "/containers/{id}/unpause", s.containerUnpause},
		{"POST", "/containers/{id}/rename", s.containerRename},
		{"POST", "/containers/{id}/resize", s.containerResize},
		{"POST", "/containers/{id}/update", s.containerUpdate},
		{"POST", "/containers/{id}/wait", s.containerWait},
		{"POST", "/containers/{id}/attach", s.containerAttach},
		{"POST", "/containers/{id}/exec", s.execCreate},
		{"DELETE", "/containers/{id}", s.containerRemove},
		{"POST", "/exec/{id}/start", s.execStart},
		{"POST", "/exec/{id}/resize", s.execResize},
		{"GET", "/exec/{id}/json", s.execInspect},

		{"GET", "/images/json", s.imageList},
		{"POST", "/images/create", s.imageCreate},
		{"POST", "/images/prune", s.imagePrune},
		{"GET", "/images/{name...}/json", s.imageInspect},
		{"GET", "/images/{name...}/history", s.imageHistory},
		{"POST", "/images/{name...}/tag", s.imageTag},
		{"DELETE", "/images/{name...}", s.imageDelete},

		{"GET", "/networks", s.networkList},
		{"GET", "/networks/{id}", s.networkInspect},
		{"POST", "/networks/create", s.networkCreate},
		{"POST", "/networks/prune", s.networkPrune},
		{"DELETE", "/networks/{id}", s.networkRemove},

		{"GET", "/volumes", s.volumeList},
		{"POST", "/volumes/create", s.volumeCreate},
		{"POST", "/volumes/prune", s.volumePrune},
		{"GET", "/volumes/{name}", s.volumeInspect},
		{"DELETE", "/volumes/{name}", s.volumeRemove},

		{"GET", "/plugins", s.plugins},
		{"GET", "/plugins/{name...}/json", s.noPlugin},

		{"POST", "/build", notServed("docker build is not served by this engine yet")},
		{"POST", "/commit", notServed("docker commit is not served by this engine yet")},
		{"GET", "/containers/{id}/archive", s.archiveGet},
		{"PUT", "/containers/{id}/archive", s.archivePut},
		{"HEAD", "/containers/{id}/archive", s.archiveGet},
		{"GET", "/containers/{id}/changes", notServed("docker diff is not served by this engine yet")},
		{"GET", "/containers/{id}/export", notServed("docker export is not served by this engine yet")},
		{"POST", "/images/{name...}/push", notServed("docker push is not served by this engine yet")},
		{"POST", "/images/load", notServed("docker load is not served by this engine yet")},
		{"GET", "/images/get", notServed("docker save is not served by this engine yet")},
		{"GET", "/images/{name...}/get", notServed("docker save is not served by this engine yet")},
		{"GET", "/images/search", notServed("docker search is not served by this engine yet")},
		{"POST", "/networks/{id}/connect", notServed("docker network connect is not served by this engine yet")},
		{"POST", "/networks/{id}/disconnect", notServed("docker network disconnect is not served by this engine yet")},
		{"POST", "/build/prune", s.buildPrune},

		{"GET", "/swarm", notSwarm},
		{"GET", "/nodes", notSwarm},
		{"GET", "/services", notSwarm},
		{"GET", "/tasks", notSwarm},
		{"GET", "/secrets", notSwarm},
		{"GET", "/configs", notSwarm},
		{"GET", "/nodes/{id}", notSwarm},
		{"GET", "/services/{id}", notSwarm},
		{"GET", "/tasks/{id}", notSwarm},
		{"GET", "/secrets/{id}", notSwarm},
		{"GET", "/configs/{id}", notSwarm},
		{"POST", "/services/create", notSwarm},
		{"POST", "/secrets/create", notSwarm},
		{"POST", "/configs/create", notSwarm},
		{"POST", "/swarm/init", notServed("swarm mode is not part of this engine")},
		{"POST", "/swarm/join", notServed("swarm mode is not part of this engine")},
		{"POST", "/swarm/leave", notSwarm},
	}
}
