package api

import (
	"io/fs"
	"net/http"
	"path/filepath"
	"time"

	apievents "github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/volume"

	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
	"github.com/slipway-engine/slipway/stages/07-daemon/volumes"
)

func (s *Server) showVolume(v volumes.Volume) volume.Volume {
	labels, options := v.Labels, v.Options
	if v.Anonymous && labels == nil {
		labels = map[string]string{"com.docker.volume.anonymous": ""}
	}
	return volume.Volume{
		Name: v.Name, Driver: v.Driver, Labels: labels, Options: options, Scope: "local",
		Mountpoint: s.Engine.Volumes.Path(v.Name), CreatedAt: v.CreatedAt.Format(time.RFC3339),
	}
}

func (s *Server) volumeList(w http.ResponseWriter, r *http.Request) error {
	f, err := parseFilters(r, "dangling", "driver", "label", "label!", "name")
	if err != nil {
		return err
	}
	dangling, err := f.truth("dangling")
	if err != nil {
		return err
	}
	out := volume.ListResponse{Volumes: []volume.Volume{}, Warnings: nil}
	for _, v := range s.Engine.Volumes.List() {
		unused := len(s.Engine.VolumeUsers(v.Name)) == 0
		if (dangling == nil || *dangling == unused) && f.labels(v.Labels) &&
			f.any("name", func(x string) bool { return nameMatches(x, v.Name) }) &&
			f.any("driver", func(x string) bool { return x == v.Driver }) {
			out.Volumes = append(out.Volumes, s.showVolume(v))
		}
	}
	return writeJSON(w, http.StatusOK, out)
}

func (s *Server) volumeCreate(w http.ResponseWriter, r *http.Request) error {
	var req volume.CreateRequest
	if err := readJSON(r, &req, true); err != nil {
		return err
	}
	if req.Driver != "" && req.Driver != "local" {
		return fault.NotFound("create %s: error looking up volume plugin %s: plugin %q not found", req.Name, req.Driver, req.Driver)
	}
	v, err := s.Engine.Volumes.Create(volumes.Volume{Name: req.Name, Labels: req.Labels, Options: req.DriverOpts})
	if err != nil {
		return err
	}
	s.Engine.Events.Publish(apievents.VolumeEventType, apievents.ActionCreate, v.Name, map[string]string{"driver": "local"})
	return writeJSON(w, http.StatusCreated, s.showVolume(v))
}

func (s *Server) volumeInspect(w http.ResponseWriter, r *http.Request) error {
	v, err := s.Engine.Volumes.Get(r.PathValue("name"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, s.showVolume(v))
}

func (s *Server) volumeRemove(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	if _, err := s.Engine.Volumes.Get(name); err != nil {
		if boolean(r, "force") {
			return noContent(w, nil)
		}
		return err
	}
	if users := s.Engine.VolumeUsers(name); len(users) > 0 {
		return fault.Conflict("remove %s: volume is in use - %v", name, users)
	}
	if err := s.Engine.Volumes.Remove(name); err != nil {
		return err
	}
	s.Engine.Events.Publish(apievents.VolumeEventType, apievents.ActionDestroy, name, map[string]string{"driver": "local"})
	return noContent(w, nil)
}

// volumePrune removes unused anonymous volumes; named ones too with the filter all (and before API 1.42 always).
func (s *Server) volumePrune(w http.ResponseWriter, r *http.Request) error {
	f, err := parseFilters(r, "label", "label!", "all")
	if err != nil {
		return err
	}
	all, err := f.truth("all")
	if err != nil {
		return err
	}
	named := versionOf(r.Context()) < 42 || all != nil && *all
	report := volume.PruneReport{VolumesDeleted: []string{}}
	for _, v := range s.Engine.Volumes.List() {
		if !v.Anonymous && !named || !f.labels(v.Labels) || len(s.Engine.VolumeUsers(v.Name)) > 0 {
			continue
		}
		size := treeSize(s.Engine.Volumes.Path(v.Name))
		if err := s.Engine.Volumes.Remove(v.Name); err != nil {
			s.Log.Warn("prune", "volume", v.Name, "err", err)
			continue
		}
		report.VolumesDeleted = append(report.VolumesDeleted, v.Name)
		report.SpaceReclaimed += uint64(size)
	}
	return writeJSON(w, http.StatusOK, report)
}

// treeSize adds up the files below a directory; what vanishes meanwhile counts nothing.
func treeSize(dir string) int64 {
	var total int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			total += info.Size()
		}
		return nil
	})
	return total
}
