package engine

import (
	"context"
	"errors"
	"io"

	apievents "github.com/moby/moby/api/types/events"

	"github.com/slipway-engine/slipway/stages/07-daemon/attach"
	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
	"github.com/slipway-engine/slipway/stages/07-daemon/logs"
)

// AttachOptions are the query of attach.
type AttachOptions struct {
	Stdin, Stdout, Stderr bool
	Stream, Logs          bool
	DetachKeys            string
}

// Session is an attachment that has been made and not yet been used: the answer's header goes out in between.
type Session struct {
	Tty bool
	Run func(ctx context.Context, in io.Reader, out io.Writer) error
}

// Attach connects a client to the container's init process, which may not have been started yet. From the moment
// it returns, nothing of the output is missed.
func (e *Engine) Attach(ref string, o AttachOptions) (Session, error) {
	c, err := e.Get(ref)
	if err != nil {
		return Session{}, err
	}
	v := c.View()
	if v.Status == "paused" {
		return Session{}, fault.Conflict("container %s is paused, unpause the container before attach", v.ID)
	}
	keys, err := attach.ParseDetachKeys(o.DetachKeys)
	if err != nil {
		return Session{}, fault.Invalid("Invalid detach keys (%s) provided: %w", o.DetachKeys, err)
	}
	s := Session{Tty: v.Config.Tty}
	var process *attach.Process
	var client *attach.Client
	if o.Stream {
		if process, err = e.openStreams(c); err != nil {
			return s, err
		}
		if client, err = process.Join(o.Stdout, o.Stderr); err != nil {
			return s, err
		}
	}
	s.Run = func(ctx context.Context, in io.Reader, out io.Writer) error {
		framer := logs.Framer{W: out, Raw: v.Config.Tty}
		if o.Logs && v.LogPath() != "" {
			q := logs.Query{Stdout: o.Stdout, Stderr: o.Stderr, Tail: -1}
			if err := logs.Read(ctx, v.LogPath(), q, nil, func(l logs.Entry) error { return writeEntry(framer, l, l.Line) }); err != nil {
				return err
			}
		}
		if client == nil {
			return nil
		}
		e.publish(c, apievents.ActionAttach, nil)
		p := pump{process: process, client: client, tty: v.Config.Tty, keys: keys, endInput: v.Config.StdinOnce && !v.Config.Tty}
		if !o.Stdin || !v.Config.OpenStdin {
			in = nil
		}
		err := p.run(ctx, in, framer)
		if errors.Is(err, attach.ErrDetached) {
			e.publish(c, apievents.ActionDetach, nil)
			return nil
		}
		return err
	}
	return s, nil
}

// pump carries bytes both ways between one client and one process.
type pump struct {
	process  *attach.Process
	client   *attach.Client
	tty      bool
	keys     []byte
	endInput bool // the end of the client's input is the end of the process's
}

// run returns when the process's output has ended, the user detached, or the client is gone.
func (p pump) run(ctx context.Context, in io.Reader, out logs.Framer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer p.client.Leave()
	if in != nil {
		go func() {
			if err := p.input(in); errors.Is(err, attach.ErrDetached) {
				cancel(err)
			}
		}()
	}
	err := p.client.Copy(ctx, out)
	if cause := context.Cause(ctx); errors.Is(cause, attach.ErrDetached) {
		return cause
	}
	return err
}

func (p pump) input(in io.Reader) error {
	if p.tty {
		in = &attach.EscapeReader{From: in, Keys: p.keys}
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := in.Read(buf)
		if n > 0 {
			if werr := p.process.WriteStdin(buf[:n]); werr != nil {
				return werr
			}
		}
		switch {
		case errors.Is(err, io.EOF) && p.endInput:
			return p.process.EndStdin()
		case err != nil:
			return err
		}
	}
}

func writeEntry(to logs.Framer, l logs.Entry, text string) error {
	stream := logs.Stdout
	if l.Stream == "stderr" {
		stream = logs.Stderr
	}
	return to.Write(stream, []byte(text))
}
