package api

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/container"
	apievents "github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/api/types/storage"

	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
	"github.com/slipway-engine/slipway/stages/07-daemon/images"
)

func (s *Server) imageList(w http.ResponseWriter, r *http.Request) error {
	f, err := parseFilters(r, "dangling", "label", "label!", "reference", "before", "since", "until")
	if err != nil {
		return err
	}
	dangling, err := f.truth("dangling")
	if err != nil {
		return err
	}
	all, err := s.Images.List(r.Context())
	if err != nil {
		return err
	}
	bounds := map[string]time.Time{}
	for _, key := range []string{"before", "since"} {
		for _, ref := range f[key] {
			img, err := s.Images.Get(r.Context(), ref)
			if err != nil {
				return err
			}
			bounds[key] = img.Created()
		}
	}
	out := []image.Summary{}
	for _, img := range all {
		tags := img.Tags()
		fits := (dangling == nil || *dangling == (len(tags) == 0)) && f.labels(img.Config.Config.Labels) &&
			f.any("reference", func(x string) bool {
				return slices.ContainsFunc(tags, func(t string) bool { return referenceMatches(x, t) })
			}) &&
			(len(f["before"]) == 0 || img.Created().Before(bounds["before"])) &&
			(len(f["since"]) == 0 || img.Created().After(bounds["since"]))
		if !fits {
			continue
		}
		digests := img.Digests()
		if patterns := f["reference"]; len(patterns) > 0 {
			tags, digests = asked(patterns, tags), asked(patterns, digests)
		}
		out = append(out, image.Summary{
			ID: img.ID.String(), RepoTags: tags, RepoDigests: digests, Created: unixOrZero(img.Created()),
			Size: s.Images.Size(r.Context(), img), SharedSize: -1, Containers: -1, Labels: img.Config.Config.Labels,
		})
	}
	if versionOf(r.Context()) < 44 { // VirtualSize is Size under its older name
		shaped := []any{}
		for _, i := range out {
			m, err := merged(i, map[string]any{"VirtualSize": i.Size})
			if err != nil {
				return err
			}
			shaped = append(shaped, m)
		}
		return writeJSON(w, http.StatusOK, shaped)
	}
	return writeJSON(w, http.StatusOK, out)
}

func unixOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// referenceMatches is --filter reference=: a pattern for the repository or for repository and tag.
func referenceMatches(pattern, tag string) bool {
	repo, _, digested := strings.Cut(tag, "@")
	if i := strings.LastIndex(tag, ":"); !digested && i > strings.LastIndex(tag, "/") {
		repo = tag[:i]
	}
	return glob(pattern, tag) || glob(pattern, repo)
}

// asked are, of an image's several names, those that a pattern is for.
func asked(patterns, names []string) []string {
	out := []string{}
	for _, name := range names {
		if slices.ContainsFunc(patterns, func(p string) bool { return referenceMatches(p, name) }) {
			out = append(out, name)
		}
	}
	return out
}

func (s *Server) imageInspect(w http.ResponseWriter, r *http.Request) error {
	img, err := s.Images.Get(r.Context(), r.PathValue("name"))
	if err != nil {
		return err
	}
	cfg := img.Config
	out := image.InspectResponse{
		ID: img.ID.String(), RepoTags: img.Tags(), RepoDigests: img.Digests(), Created: stampOrEmpty(img.Created()),
		Author: cfg.Author, Config: &cfg.Config, Architecture: cfg.Architecture, Variant: cfg.Variant, Os: cfg.OS,
		OsVersion: cfg.OSVersion, Size: s.Images.Size(r.Context(), img),
		GraphDriver: &storage.DriverData{Name: s.About.Snapshotter, Data: map[string]string{}},
		RootFS:      image.RootFS{Type: cfg.RootFS.Type}, Metadata: image.Metadata{LastTagTime: img.Updated},
	}
	for _, d := range cfg.RootFS.DiffIDs {
		out.RootFS.Layers = append(out.RootFS.Layers, d.String())
	}
	if n := len(cfg.History); n > 0 {
		out.Comment = cfg.History[n-1].Comment
	}
	body, err := imageShape(out, versionOf(r.Context()))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, body)
}

func stampOrEmpty(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return stamp(t)
}

// imageShape gives older clients the fields that later versions leave out when they are empty.
func imageShape(out image.InspectResponse, v Version) (any, error) {
	if v >= 50 {
		return out, nil
	}
	more := map[string]any{"DockerVersion": "", "Author": out.Author, "Comment": out.Comment, "Parent": ""}
	if v < 44 {
		more["VirtualSize"] = out.Size
	}
	config := map[string]any{}
	for _, name := range []string{"Hostname", "Domainname", "User", "Image", "WorkingDir"} {
		config[name] = ""
	}
	for _, name := range []string{"AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce"} {
		config[name] = false
	}
	for _, name := range []string{"Env", "Cmd", "Volumes", "Entrypoint", "OnBuild", "Labels"} {
		config[name] = nil
	}
	have, err := merged(out.Config, nil)
	if err != nil {
		return nil, err
	}
	overlay(config, have)
	more["Config"] = config
	return merged(out, more)
}

func (s *Server) imageHistory(w http.ResponseWriter, r *http.Request) error {
	img, err := s.Images.Get(r.Context(), r.PathValue("name"))
	if err != nil {
		return err
	}
	sizes := s.Images.LayerSizes(r.Context(), img)
	out, layer := []image.HistoryResponseItem{}, 0
	for _, h := range img.Config.History {
		item := image.HistoryResponseItem{ID: "<missing>", CreatedBy: h.CreatedBy, Comment: h.Comment}
		if h.Created != nil {
			item.Created = h.Created.Unix()
		}
		if !h.EmptyLayer && layer < len(sizes) {
			item.Size = sizes[layer]
			layer++
		}
		out = append(out, item)
	}
	slices.Reverse(out)
	if len(out) > 0 {
		out[0].ID, out[0].Tags = img.ID.String(), img.Tags()
	}
	return writeJSON(w, http.StatusOK, out)
}

func (s *Server) imageTag(w http.ResponseWriter, r *http.Request) error {
	img, err := s.Images.Get(r.Context(), r.PathValue("name"))
	if err != nil {
		return err
	}
	name, err := images.Join(r.FormValue("repo"), r.FormValue("tag"))
	if err != nil {
		return err
	}
	if err := s.Images.Tag(r.Context(), img, name); err != nil {
		return err
	}
	s.imageEvent(apievents.ActionTag, img.ID.String(), reference.FamiliarString(name))
	w.WriteHeader(http.StatusCreated)
	return nil
}

func (s *Server) imageEvent(action apievents.Action, id, name string) {
	s.Engine.Events.Publish(apievents.ImageEventType, action, id, map[string]string{"name": name})
}

// imageCreate pulls. The status is sent with the first line of progress; what fails later is told in the stream.
func (s *Server) imageCreate(w http.ResponseWriter, r *http.Request) error {
	if r.FormValue("fromSrc") != "" {
		return fault.NotImplemented("docker import is not served by this engine yet")
	}
	name, err := images.Join(r.FormValue("fromImage"), r.FormValue("tag"))
	if err != nil {
		return err
	}
	auth, err := registryAuth(r.Header.Get("X-Registry-Auth"))
	if err != nil {
		return err
	}
	out := &progressWriter{w: w, flush: http.NewResponseController(w).Flush, version: versionOf(r.Context())}
	err = s.Images.Pull(r.Context(), images.PullRequest{Name: name, Platform: r.FormValue("platform"), Auth: auth}, out.send)
	if err == nil {
		s.imageEvent(apievents.ActionPull, reference.FamiliarString(name), reference.FamiliarName(name))
		return nil
	}
	if !out.begun {
		return err
	}
	out.send(jsonstream.Message{Error: &jsonstream.Error{Message: err.Error()}})
	return nil
}

func registryAuth(header string) (registry.AuthConfig, error) {
	var a registry.AuthConfig
	if header == "" {
		return a, nil
	}
	data, err := base64.URLEncoding.DecodeString(header)
	if err != nil {
		return a, fault.Invalid("invalid X-Registry-Auth header: %w", err)
	}
	if err := json.Unmarshal(data, &a); err != nil {
		return a, fault.Invalid("invalid X-Registry-Auth header: %w", err)
	}
	return a, nil
}

// progressWriter sends Docker's JSON lines; before API 1.48 with the two redundant fields error and progress.
type progressWriter struct {
	w       http.ResponseWriter
	flush   func() error
	version Version
	begun   bool
}

func (p *progressWriter) send(m jsonstream.Message) {
	if !p.begun {
		p.begun = true
		p.w.Header().Set("Content-Type", "application/json")
		p.w.WriteHeader(http.StatusOK)
	}
	line := struct {
		jsonstream.Message
		ErrorText string `json:"error,omitempty"`
	}{Message: m}
	if m.Error != nil {
		line.ErrorText = m.Error.Message
	}
	data, err := json.Marshal(line)
	if err != nil {
		return
	}
	_, _ = p.w.Write(append(data, '\r', '\n'))
	_ = p.flush()
}

// users are the containers made from an image.
func (s *Server) users(id string) (running, stopped []string) {
	for _, v := range s.views() {
		switch {
		case v.ImageID.String() != id:
		case v.Running() || v.Status == container.StateRestarting:
			running = append(running, v.ID)
		default:
			stopped = append(stopped, v.ID)
		}
	}
	return running, stopped
}

// imageDelete removes one name, or with the last name (or by id) the image.
func (s *Server) imageDelete(w http.ResponseWriter, r *http.Request) error {
	ref, force := r.PathValue("name"), boolean(r, "force")
	img, err := s.Images.Get(r.Context(), ref)
	if err != nil {
		return err
	}
	running, stopped := s.users(img.ID.String())
	plan, err := images.PlanDelete(images.DeleteRequest{Ref: ref, Image: img, Force: force, Running: running, Stopped: stopped})
	if err != nil {
		return err
	}
	out, err := s.deleteNames(r, img, plan)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, out)
}

func (s *Server) deleteNames(r *http.Request, img images.Image, plan images.DeletePlan) ([]image.DeleteResponse, error) {
	out := []image.DeleteResponse{}
	for _, name := range plan.Untag {
		if err := s.Images.Untag(r.Context(), name, plan.Delete); err != nil {
			return nil, err
		}
	}
	for _, shown := range plan.Shown {
		out = append(out, image.DeleteResponse{Untagged: shown})
		s.imageEvent(apievents.ActionUnTag, img.ID.String(), img.ID.String())
	}
	if plan.Delete {
		out = append(out, image.DeleteResponse{Deleted: img.ID.String()})
		s.imageEvent(apievents.ActionDelete, img.ID.String(), img.ID.String())
	}
	return out, nil
}

func (s *Server) imagePrune(w http.ResponseWriter, r *http.Request) error {
	f, err := parseFilters(r, "dangling", "label", "label!", "until")
	if err != nil {
		return err
	}
	dangling, err := f.truth("dangling")
	if err != nil {
		return err
	}
	onlyDangling := dangling == nil || *dangling
	var until time.Time
	for _, text := range f["until"] {
		if until, err = pastTime(text); err != nil {
			return err
		}
	}
	all, err := s.Images.List(r.Context())
	if err != nil {
		return err
	}
	report := image.PruneReport{ImagesDeleted: []image.DeleteResponse{}}
	for _, img := range all {
		running, stopped := s.users(img.ID.String())
		if onlyDangling && len(img.Tags()) > 0 || len(running)+len(stopped) > 0 || !f.labels(img.Config.Config.Labels) ||
			!until.IsZero() && img.Created().After(until) {
			continue
		}
		size := s.Images.Size(r.Context(), img)
		done, err := s.deleteNames(r, img, images.DeletePlan{Untag: img.Names, Shown: img.Tags(), Delete: true})
		if err != nil {
			s.Log.Warn("prune", "image", img.ID, "err", err)
			continue
		}
		report.ImagesDeleted = append(report.ImagesDeleted, done...)
		report.SpaceReclaimed += uint64(size)
	}
	return writeJSON(w, http.StatusOK, report)
}
