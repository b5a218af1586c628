package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/api/types/volume"
)

const statsInterval = time.Second

// containerStats sends a sample each second; stream=0 sends one that knows the sample before it, one-shot does not
// even wait for that.
func (s *Server) containerStats(w http.ResponseWriter, r *http.Request) error {
	stream := r.FormValue("stream") == "" || boolean(r, "stream")
	id := r.PathValue("id")
	sample, err := s.Engine.Stats(id)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	out := flushing{w: w, flush: http.NewResponseController(w).Flush}
	enc := json.NewEncoder(out)
	if !stream && boolean(r, "one-shot") {
		return ignoreWrite(enc.Encode(sample))
	}
	if stream {
		if err := enc.Encode(sample); err != nil {
			return nil
		}
	}
	for pause(r.Context(), statsInterval) {
		before := sample
		if sample, err = s.Engine.Stats(id); err != nil {
			return nil // it was removed
		}
		sample.PreCPUStats, sample.PreRead = before.CPUStats, before.Read
		if err := enc.Encode(sample); err != nil || !stream {
			return nil
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// diskUsage adds up what images, containers and volumes take; before API 1.52 in the older shape.
func (s *Server) diskUsage(w http.ResponseWriter, r *http.Request) error {
	use, err := s.usage(r)
	if err != nil {
		return err
	}
	if versionOf(r.Context()) >= 52 {
		return writeJSON(w, http.StatusOK, use)
	}
	old := map[string]any{
		"LayersSize": use.ImageUsage.TotalSize, "Images": use.ImageUsage.Items, "Containers": use.ContainerUsage.Items,
		"Volumes": use.VolumeUsage.Items, "BuildCache": []struct{}{}, "BuilderSize": 0,
	}
	return writeJSON(w, http.StatusOK, old)
}

func (s *Server) usage(r *http.Request) (system.DiskUsage, error) {
	img := image.DiskUsage{Items: []image.Summary{}}
	all, err := s.Images.List(r.Context())
	if err != nil {
		return system.DiskUsage{}, err
	}
	for _, i := range all {
		running, stopped := s.users(i.ID.String())
		size, users := s.Images.Size(r.Context(), i), int64(len(running)+len(stopped))
		img.Items = append(img.Items, image.Summary{
			ID: i.ID.String(), RepoTags: i.Tags(), RepoDigests: i.Digests(), Created: unixOrZero(i.Created()), Size: size,
			Containers: users, Labels: i.Config.Config.Labels,
		})
		img.TotalCount++
		img.TotalSize += size
		if users > 0 {
			img.ActiveCount++
		} else {
			img.Reclaimable += size
		}
	}
	return system.DiskUsage{ImageUsage: &img, ContainerUsage: s.containerUsage(r), VolumeUsage: s.volumeUsage()}, nil
}

func (s *Server) containerUsage(r *http.Request) *container.DiskUsage {
	use := &container.DiskUsage{Items: []container.Summary{}}
	for _, v := range s.views() {
		item := summary(v)
		if rw, root, err := s.sizes(r, v); err == nil {
			item.SizeRw, item.SizeRootFs = rw, root
		}
		use.Items = append(use.Items, item)
		use.TotalCount++
		use.TotalSize += item.SizeRw
		if v.Running() {
			use.ActiveCount++
		} else {
			use.Reclaimable += item.SizeRw
		}
	}
	return use
}

func (s *Server) volumeUsage() *volume.DiskUsage {
	use := &volume.DiskUsage{Items: []volume.Volume{}}
	for _, v := range s.Engine.Volumes.List() {
		item, users := s.showVolume(v), int64(len(s.Engine.VolumeUsers(v.Name)))
		item.UsageData = &volume.UsageData{RefCount: users, Size: treeSize(s.Engine.Volumes.Path(v.Name))}
		use.Items = append(use.Items, item)
		use.TotalCount++
		use.TotalSize += item.UsageData.Size
		if users > 0 {
			use.ActiveCount++
		} else {
			use.Reclaimable += item.UsageData.Size
		}
	}
	return use
}
