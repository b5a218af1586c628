package engine

import (
	"context"
	"io"
	"net/url"
	"path/filepath"
	"strconv"

	"github.com/containerd/errdefs"
	"github.com/docker/go-units"
	"github.com/moby/sys/user"

	"github.com/slipway-engine/slipway/stages/07-daemon/attach"
	"github.com/slipway-engine/slipway/stages/07-daemon/logs"
	"github.com/slipway-engine/slipway/stages/07-daemon/manager"
	"github.com/slipway-engine/slipway/stages/07-daemon/ociconfig"
)

func isNotFound(err error) bool { return errdefs.IsNotFound(err) }

// ociUser puts the primary group first among the additional ones (CVE-2022-36109: without it, a file that denies
// the group would not deny this process).
func ociUser(u *user.ExecUser) ociconfig.User {
	out := ociconfig.User{UID: uint32(u.Uid), GID: uint32(u.Gid), Home: u.Home, Additional: []uint32{uint32(u.Gid)}}
	for _, g := range u.Sgids {
		if g != u.Gid {
			out.Additional = append(out.Additional, uint32(g))
		}
	}
	return out
}

// openStreams makes the pipes of the init process, or takes those that are there: a client that attached before
// the start is connected to them already.
func (e *Engine) openStreams(c *Container) (*attach.Process, error) {
	c.mu.Lock()
	have := c.streams
	c.mu.Unlock()
	if have != nil {
		return have, nil
	}
	v := c.View()
	cfg := attach.Config{
		Dir: filepath.Join(e.ExecRoot, "io", c.ID), Tty: v.Config.Tty, Stdin: v.Config.OpenStdin, Plain: e.ClassicStdio,
		CloseStdin: func() error { return e.Tasks.CloseStdin(e.ctx, c.ID, "") },
	}
	if e.ClassicStdio && v.LogPath() != "" {
		size, files, err := rotation(v)
		if err != nil {
			return nil, err
		}
		w, err := logs.NewWriter(v.LogPath(), size, files)
		if err != nil {
			return nil, err
		}
		cfg.Sinks = map[byte]io.WriteCloser{logs.Stdout: w.Stream("stdout"), logs.Stderr: w.Stream("stderr")}
	}
	p, err := attach.New(cfg)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.streams = p
	return p, nil
}

func (e *Engine) closeStreams(c *Container) {
	c.mu.Lock()
	p := c.streams
	c.streams = nil
	c.mu.Unlock()
	if p != nil {
		p.Finish()
	}
}

// rotation reads max-size and max-file of --log-opt.
func rotation(v View) (size int64, files int, err error) {
	files = 1
	opts := v.HostConfig.LogConfig.Config
	if text := opts["max-size"]; text != "" {
		if size, err = units.FromHumanSize(text); err != nil {
			return 0, 0, err
		}
	}
	if text := opts["max-file"]; text != "" {
		if files, err = strconv.Atoi(text); err != nil {
			return 0, 0, err
		}
	}
	return size, files, nil
}

// stdioOf is the URIs of docs/boundaries.md: the shim writes the log, the pipes are tees.
func (e *Engine) stdioOf(v View, p *attach.Process) manager.Stdio {
	out := manager.Stdio{Terminal: v.Config.Tty, Stdout: e.outputURI(v, p.Path(logs.Stdout))}
	if !v.Config.Tty {
		out.Stderr = e.outputURI(v, p.Path(logs.Stderr))
	}
	if v.Config.OpenStdin {
		out.Stdin = p.Path(logs.Stdin)
	}
	return out
}

func (e *Engine) outputURI(v View, fifo string) string {
	if e.ClassicStdio {
		return fifo
	}
	query := url.Values{"fifo": {fifo}}
	if v.LogPath() == "" {
		return "none://?" + query.Encode()
	}
	size, files, err := rotation(v)
	if err == nil && size > 0 {
		query.Set("max-size", strconv.FormatInt(size, 10))
		query.Set("max-file", strconv.Itoa(files))
	}
	return (&url.URL{Scheme: "json-file", Path: v.LogPath(), RawQuery: query.Encode()}).String()
}

// Resize sets the size of the container's terminal; before the start it is remembered.
func (e *Engine) Resize(ctx context.Context, ref string, width, height uint32) error {
	c, err := e.Get(ref)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.size = [2]uint32{width, height}
	running := c.task != nil
	c.mu.Unlock()
	if !running {
		return nil
	}
	return e.Tasks.Resize(ctx, c.ID, "", width, height)
}
