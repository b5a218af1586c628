// Package api serves Docker's Engine REST API. A handler is a value: it takes a request and returns an error, and
// one place turns the error into a status and a message.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/common"
	"github.com/moby/moby/api/types/jsonstream"

	"github.com/slipway-engine/slipway/stages/07-daemon/engine"
	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
	"github.com/slipway-engine/slipway/stages/07-daemon/images"
	"github.com/slipway-engine/slipway/stages/07-daemon/network"
)

// Images are what the API needs of images. [images.Store] has them.
type Images interface {
	List(ctx context.Context) ([]images.Image, error)
	Get(ctx context.Context, ref string) (images.Image, error)
	Size(ctx context.Context, img images.Image) int64
	LayerSizes(ctx context.Context, img images.Image) []int64
	Tag(ctx context.Context, img images.Image, name reference.Named) error
	Untag(ctx context.Context, name string, gone bool) error
	Pull(ctx context.Context, req images.PullRequest, report func(jsonstream.Message)) error
}

// Deps is everything the API shows.
type Deps struct {
	Log    *slog.Logger
	Engine *engine.Engine
	Images Images
	Bridge network.Config
	About  About
}

// Server is the API as an http.Handler.
type Server struct {
	Deps
	started time.Time
	routes  []route
}

// New builds the table of routes.
func New(d Deps) *Server {
	s := &Server{Deps: d, started: time.Now()}
	s.routes = s.table()
	return s
}

// handler answers, or returns why it cannot. Once it has begun to write it must deal with errors itself.
type handler func(w http.ResponseWriter, r *http.Request) error

// ServeHTTP finds the version and the route.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Api-Version", MaxVersion.String())
	h.Set("Docker-Experimental", "false")
	h.Set("Ostype", "linux")
	h.Set("Server", "Docker/"+s.About.Version+" (linux)")
	defer func() { // a bug in one request is that request's problem (security rule R9)
		p := recover()
		if p == http.ErrAbortHandler {
			panic(p) // a handler's way to break off an answer that has begun
		}
		if p != nil {
			s.Log.Error("panic", "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
			s.fail(w, fault.System("internal error: %v", p))
		}
	}()
	version, path, err := splitVersion(r.URL.Path)
	if err != nil {
		s.fail(w, err)
		return
	}
	route, values := find(s.routes, r.Method, path)
	if route == nil {
		s.fail(w, fault.NotFound("page not found"))
		return
	}
	for name, value := range values {
		r.SetPathValue(name, value)
	}
	r = r.WithContext(withVersion(r.Context(), version))
	begin := time.Now()
	err = route.handle(w, r)
	s.Log.Debug("request", "method", r.Method, "path", r.URL.Path, "took", time.Since(begin), "err", err)
	if err != nil {
		s.fail(w, err)
	}
}

// fail writes an error as JSON. Of an answer that has begun, only the log hears.
func (s *Server) fail(w http.ResponseWriter, err error) {
	status := fault.Status(err)
	if status == http.StatusNotModified {
		w.WriteHeader(status)
		return
	}
	if status >= 500 {
		s.Log.Warn("request failed", "err", err)
	}
	_ = writeJSON(w, status, common.ErrorResponse{Message: err.Error()})
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

const maxBody = 4 << 20 // bytes of a JSON request

// readJSON decodes a body; an empty one is allowed where optional.
func readJSON(r *http.Request, into any, optional bool) error {
	if ct := r.Header.Get("Content-Type"); ct != "" && !strings.HasPrefix(ct, "application/json") && r.ContentLength != 0 {
		return fault.Invalid("unsupported Content-Type header (%s): must be 'application/json'", ct)
	}
	data, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	switch {
	case err != nil:
		return fault.Invalid("read request: %w", err)
	case len(data) > maxBody:
		return fault.Invalid("request body is larger than %d bytes", maxBody)
	case len(data) == 0 && optional:
		return nil
	case len(data) == 0:
		return fault.Invalid("invalid JSON: got EOF while reading request body")
	}
	if err := json.Unmarshal(data, into); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return fault.Invalid("invalid JSON: %w", err)
		}
		return fault.Invalid("invalid JSON: %w", err)
	}
	return nil
}

// boolean is Docker's reading of a query value: everything but the words for no is yes.
func boolean(r *http.Request, name string) bool {
	switch strings.ToLower(strings.TrimSpace(r.FormValue(name))) {
	case "", "0", "no", "false", "none":
		return false
	}
	return true
}

func integer(r *http.Request, name string, fallback int) (int, error) {
	text := r.FormValue(name)
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fault.Invalid("%s: %w", name, err)
	}
	return n, nil
}
