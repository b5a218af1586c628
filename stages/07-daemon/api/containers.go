package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/slipway-engine/slipway/stages/07-daemon/engine"
	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
	"github.com/slipway-engine/slipway/stages/07-daemon/logs"
)

func (s *Server) containerCreate(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		*container.Config
		HostConfig       *container.HostConfig
		NetworkingConfig *network.NetworkingConfig
	}
	if err := readJSON(r, &body, false); err != nil {
		return err
	}
	if body.Config == nil {
		return fault.Invalid("config cannot be empty in order to create a container")
	}
	if p := r.FormValue("platform"); p != "" && !strings.HasPrefix(p, "linux") && !strings.HasPrefix(p, "{") {
		return fault.Invalid("platform %q is not this engine's", p)
	}
	req := engine.CreateRequest{Name: r.FormValue("name"), Config: *body.Config}
	if body.HostConfig != nil {
		req.HostConfig = *body.HostConfig
	}
	if body.NetworkingConfig != nil {
		req.Networking = body.NetworkingConfig.EndpointsConfig
	}
	id, warnings, err := s.Engine.Create(r.Context(), req)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, container.CreateResponse{ID: id, Warnings: warnings})
}

func (s *Server) containerStart(w http.ResponseWriter, r *http.Request) error {
	if r.FormValue("checkpoint") != "" {
		return fault.NotImplemented("checkpoints are not served by this engine yet")
	}
	return noContent(w, s.Engine.Start(r.Context(), r.PathValue("id")))
}

func noContent(w http.ResponseWriter, err error) error {
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

func stopOptions(r *http.Request) (engine.StopOptions, error) {
	o := engine.StopOptions{Signal: r.FormValue("signal")}
	if text := r.FormValue("t"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return o, fault.Invalid("t: %w", err)
		}
		o.Timeout = &n
	}
	return o, nil
}

func (s *Server) containerStop(w http.ResponseWriter, r *http.Request) error {
	o, err := stopOptions(r)
	if err != nil {
		return err
	}
	return noContent(w, s.Engine.Stop(r.Context(), r.PathValue("id"), o))
}

func (s *Server) containerRestart(w http.ResponseWriter, r *http.Request) error {
	o, err := stopOptions(r)
	if err != nil {
		return err
	}
	return noContent(w, s.Engine.Restart(r.Context(), r.PathValue("id"), o))
}

func (s *Server) containerKill(w http.ResponseWriter, r *http.Request) error {
	return noContent(w, s.Engine.Kill(r.Context(), r.PathValue("id"), r.FormValue("signal")))
}

func (s *Server) containerPause(w http.ResponseWriter, r *http.Request) error {
	return noContent(w, s.Engine.Pause(r.Context(), r.PathValue("id")))
}

func (s *Server) containerUnpause(w http.ResponseWriter, r *http.Request) error {
	return noContent(w, s.Engine.Unpause(r.Context(), r.PathValue("id")))
}

func (s *Server) containerRename(w http.ResponseWriter, r *http.Request) error {
	return noContent(w, s.Engine.Rename(r.Context(), r.PathValue("id"), r.FormValue("name")))
}

func (s *Server) containerRemove(w http.ResponseWriter, r *http.Request) error {
	if boolean(r, "link") {
		return fault.NotImplemented("links are not served by this engine")
	}
	o := engine.RemoveOptions{Force: boolean(r, "force"), Volumes: boolean(r, "v")}
	return noContent(w, s.Engine.Remove(r.Context(), r.PathValue("id"), o))
}

func dimensions(r *http.Request) (width, height uint32, err error) {
	h, err1 := strconv.ParseUint(r.FormValue("h"), 10, 16)
	wd, err2 := strconv.ParseUint(r.FormValue("w"), 10, 16)
	if err1 != nil || err2 != nil {
		return 0, 0, fault.Invalid("invalid terminal size h=%q w=%q", r.FormValue("h"), r.FormValue("w"))
	}
	return uint32(wd), uint32(h), nil
}

func (s *Server) containerResize(w http.ResponseWriter, r *http.Request) error {
	width, height, err := dimensions(r)
	if err != nil {
		return err
	}
	return s.Engine.Resize(r.Context(), r.PathValue("id"), width, height)
}

// containerWait sends the header as soon as the wait has begun: the client starts the container only then.
func (s *Server) containerWait(w http.ResponseWriter, r *http.Request) error {
	condition := container.WaitCondition(r.FormValue("condition"))
	if versionOf(r.Context()) < 30 {
		condition = container.WaitConditionNotRunning
	}
	wait, err := s.Engine.Wait(r.PathValue("id"), condition)
	if err != nil {
		return err
	}
	return answerWait(w, r, wait)
}

// answerWait sends the header now and the body when wait returns.
func answerWait(w http.ResponseWriter, r *http.Request, wait func(context.Context) (engine.Ended, error)) error {
	//ex:begin daemon.api
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	if err := http.NewResponseController(w).Flush(); err != nil {
		return nil // the client has gone, and nobody is left to be told
	}
	ended, err := wait(r.Context())
	if err != nil {
		return nil
	}
	var body struct {
		Error      *container.WaitExitError // always there; null is what clients read as "no error"
		StatusCode int64
	}
	body.StatusCode = int64(ended.Code)
	return ignoreWrite(json.NewEncoder(w).Encode(body))
	//ex:stub
	// _, _, _ = w, r, wait
	// return todo.Exercise("daemon.api")
	//ex:end daemon.api
}

// ignoreWrite drops an error of writing to a client: it has gone, and nobody is left to be told.
func ignoreWrite(error) error { return nil }

func (s *Server) containerAttach(w http.ResponseWriter, r *http.Request) error {
	session, err := s.Engine.Attach(r.PathValue("id"), engine.AttachOptions{
		Stdin: boolean(r, "stdin"), Stdout: boolean(r, "stdout"), Stderr: boolean(r, "stderr"),
		Stream: boolean(r, "stream"), Logs: boolean(r, "logs"), DetachKeys: r.FormValue("detachKeys"),
	})
	if err != nil {
		return err
	}
	return hijack(w, r, session)
}

func (s *Server) containerLogs(w http.ResponseWriter, r *http.Request) error {
	o := engine.LogOptions{
		Query: logs.Query{
			Stdout: boolean(r, "stdout"), Stderr: boolean(r, "stderr"), Follow: boolean(r, "follow"), Tail: -1,
		},
		Timestamps: boolean(r, "timestamps"), Details: boolean(r, "details"),
	}
	if !o.Stdout && !o.Stderr {
		return fault.Invalid("Bad parameters: you must choose at least one stream")
	}
	if n, err := strconv.Atoi(r.FormValue("tail")); err == nil && n >= 0 {
		o.Tail = n
	}
	var err error
	if o.Since, err = timestamp(r.FormValue("since")); err != nil {
		return err
	}
	if o.Until, err = timestamp(r.FormValue("until")); err != nil {
		return err
	}
	session, err := s.Engine.Logs(r.PathValue("id"), o)
	if err != nil {
		return err
	}
	kind := rawStream
	if !session.Tty && versionOf(r.Context()) >= 42 {
		kind = multiplexedStream
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(http.StatusOK)
	out := flushing{w: w, flush: http.NewResponseController(w).Flush}
	if !o.Follow {
		out.flush = nil
	} else if err := out.flush(); err != nil {
		return nil
	}
	if err := session.Run(r.Context(), nil, out); err != nil && r.Context().Err() == nil {
		_ = logs.Framer{W: w, Raw: session.Tty}.Write(logs.SystemError, []byte("Error grabbing logs: "+err.Error()+"\n"))
	}
	return nil
}

// flushing sends every write at once.
type flushing struct {
	w     http.ResponseWriter
	flush func() error
}

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err == nil && f.flush != nil {
		err = f.flush()
	}
	return n, err
}

// timestamp reads SECONDS[.NANOSECONDS]; empty and 0 are no time.
func timestamp(text string) (time.Time, error) {
	if text == "" || text == "0" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	sec, frac, _ := strings.Cut(text, ".")
	n, err := strconv.ParseInt(sec, 10, 64)
	if err != nil {
		return time.Time{}, fault.Invalid("invalid time %q", text)
	}
	var nanos int64
	if frac != "" {
		if nanos, err = strconv.ParseInt((frac + "000000000")[:9], 10, 64); err != nil {
			return time.Time{}, fault.Invalid("invalid time %q", text)
		}
	}
	return time.Unix(n, nanos), nil
}

func (s *Server) containerPrune(w http.ResponseWriter, r *http.Request) error {
	f, err := parseFilters(r, "until", "label", "label!")
	if err != nil {
		return err
	}
	var until time.Time
	for _, text := range f["until"] {
		if until, err = pastTime(text); err != nil {
			return err
		}
	}
	report := container.PruneReport{ContainersDeleted: []string{}}
	for _, c := range s.Engine.All() {
		v := c.View()
		stopped := v.Status == container.StateExited || v.Status == container.StateCreated || v.Status == container.StateDead
		if !stopped || !f.labels(v.Config.Labels) || !until.IsZero() && v.Created.After(until) {
			continue
		}
		size, err := s.Engine.Snapshots.SnapshotSize(r.Context(), v.ID)
		if err != nil {
			size = 0
		}
		if err := s.Engine.Remove(r.Context(), v.ID, engine.RemoveOptions{}); err != nil {
			s.Log.Warn("prune", "container", v.ID, "err", err)
			continue
		}
		report.ContainersDeleted = append(report.ContainersDeleted, v.ID)
		report.SpaceReclaimed += uint64(size)
	}
	return writeJSON(w, http.StatusOK, report)
}

// pastTime reads a filter's time: a moment, or a duration before now.
func pastTime(text string) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil {
		return time.Now().Add(-d), nil
	}
	return timestamp(text)
}

func (s *Server) execCreate(w http.ResponseWriter, r *http.Request) error {
	var req container.ExecCreateRequest
	if err := readJSON(r, &req, false); err != nil {
		return err
	}
	x, err := s.Engine.CreateExec(r.PathValue("id"), req)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, container.ExecCreateResponse{ID: x.ID})
}

func (s *Server) execStart(w http.ResponseWriter, r *http.Request) error {
	var req container.ExecStartRequest
	if err := readJSON(r, &req, true); err != nil {
		return err
	}
	session, err := s.Engine.StartExec(r.Context(), r.PathValue("id"), req.Detach, req.ConsoleSize)
	if err != nil || req.Detach {
		return err
	}
	return hijack(w, r, session)
}

func (s *Server) execResize(w http.ResponseWriter, r *http.Request) error {
	width, height, err := dimensions(r)
	if err != nil {
		return err
	}
	return s.Engine.ResizeExec(r.Context(), r.PathValue("id"), width, height)
}

func (s *Server) execInspect(w http.ResponseWriter, r *http.Request) error {
	x, err := s.Engine.GetExec(r.PathValue("id"))
	if err != nil {
		return err
	}
	v, req := x.View(), x.Request
	return writeJSON(w, http.StatusOK, container.ExecInspectResponse{
		ID: x.ID, Running: v.Running, ExitCode: v.Code, ContainerID: x.Container.ID, Pid: v.Pid,
		OpenStdin: req.AttachStdin, OpenStdout: req.AttachStdout, OpenStderr: req.AttachStderr,
		ProcessConfig: &container.ExecProcessConfig{
			Tty: req.Tty, Entrypoint: req.Cmd[0], Arguments: req.Cmd[1:], Privileged: &req.Privileged, User: req.User,
		},
	})
}
