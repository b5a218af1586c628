package api

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"

	"github.com/moby/moby/api/types/container"
	apievents "github.com/moby/moby/api/types/events"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/07-daemon/engine"
	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
	"github.com/slipway-engine/slipway/stages/07-daemon/rootview"
)

// archiveFault gives errors about paths in the container Docker's words.
func archiveFault(id, path string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fault.NotFound("Could not find the file %s in container %s", path, id)
	case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.EEXIST):
		return fault.Invalid("%w", err)
	case errors.Is(err, unix.EROFS):
		return fault.Forbidden("container rootfs is marked read-only")
	}
	return err
}

func pathOf(r *http.Request) (string, error) {
	if p := r.FormValue("path"); p != "" {
		return p, nil
	}
	return "", fault.Invalid("bad parameter: 'path' cannot be empty")
}

// archiveGet serves HEAD (the header alone) and GET (a tar of the path).
func (s *Server) archiveGet(w http.ResponseWriter, r *http.Request) error {
	path, err := pathOf(r)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	return archiveFault(id, path, s.Engine.InRoot(r.Context(), id, func(_ engine.View, root *rootview.Root) error {
		st, err := root.Stat(path)
		if err != nil {
			return err
		}
		if err := statHeader(w, st); err != nil || r.Method == http.MethodHead {
			return err
		}
		w.Header().Set("Content-Type", "application/x-tar")
		if err := root.WriteTar(w, path); err != nil {
			s.Log.Warn("archive", "container", id, "path", path, "err", err) // the answer has begun: it ends short
			panic(http.ErrAbortHandler)
		}
		return nil
	}))
}

func statHeader(w http.ResponseWriter, st container.PathStat) error {
	data, err := json.Marshal(st)
	if err != nil {
		return err
	}
	w.Header().Set("X-Docker-Container-Path-Stat", base64.StdEncoding.EncodeToString(data))
	return nil
}

// archivePut unpacks the body below a directory of the container.
func (s *Server) archivePut(w http.ResponseWriter, r *http.Request) error {
	path, err := pathOf(r)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	o := rootview.ExtractOptions{KeepOwners: boolean(r, "copyUIDGID"), NoOverwrite: boolean(r, "noOverwriteDirNonDir")}
	err = s.Engine.InRoot(r.Context(), id, func(v engine.View, root *rootview.Root) error {
		if v.HostConfig.ReadonlyRootfs {
			return fault.Forbidden("container rootfs is marked read-only")
		}
		s.Engine.Events.Publish(apievents.ContainerEventType, apievents.ActionExtractToDir, v.ID, map[string]string{"name": v.Name, "image": v.Image})
		return root.Extract(path, r.Body, o)
	})
	if err != nil {
		return archiveFault(id, path, err)
	}
	w.WriteHeader(http.StatusOK)
	return nil
}
