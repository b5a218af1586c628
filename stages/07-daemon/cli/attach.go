package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

type attachFlags struct {
	noStdin, sigProxy bool
	detachKeys        string
}

func newAttach(app *App) *cobra.Command {
	var o attachFlags
	cmd := &cobra.Command{
		Use: "attach [OPTIONS] CONTAINER", Short: "Attach local standard input, output, and error streams to a running container", Args: exactArgs(1),
		RunE:              func(cmd *cobra.Command, args []string) error { return runAttach(cmd.Context(), app, o, args[0]) },
		ValidArgsFunction: app.completeContainers,
	}
	cmd.Flags().BoolVar(&o.noStdin, "no-stdin", false, "Do not attach STDIN")
	cmd.Flags().BoolVar(&o.sigProxy, "sig-proxy", true, "Proxy all received signals to the process")
	cmd.Flags().StringVar(&o.detachKeys, "detach-keys", "", "Override the key sequence for detaching a container")
	return cmd
}

func runAttach(ctx context.Context, app *App, o attachFlags, name string) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	got, err := api.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	if err != nil {
		return err
	}
	c := got.Container
	switch {
	case !c.State.Running:
		return errors.New("cannot attach to a stopped container, start it first")
	case c.State.Paused:
		return errors.New("cannot attach to a paused container, unpause it first")
	case c.State.Restarting:
		return errors.New("cannot attach to a restarting container, wait until it is running")
	}
	stdin := !o.noStdin && c.Config.OpenStdin
	if _, ok := terminal(app.In); c.Config.Tty && stdin && !ok {
		return errors.New("cannot attach stdin to a TTY-enabled container because stdin is not a terminal")
	}
	exit := waitExit(ctx, api, c.ID, false)
	if o.sigProxy && !c.Config.Tty {
		defer proxySignals(ctx, api, c.ID)()
	}
	session, err := app.attach(ctx, api, c.ID, attachOptions{stdin: stdin, stdout: true, stderr: true, tty: c.Config.Tty, detachKeys: o.detachKeys})
	if err != nil {
		return err
	}
	defer session.close()
	if c.Config.Tty {
		defer app.followSize(ctx, func(size client.ContainerResizeOptions) error {
			_, err := api.ContainerResize(ctx, c.ID, size)
			return err
		})()
	}
	if err := session.stream(ctx); err != nil {
		return err
	}
	return exitStatus(<-exit)
}

type attachOptions struct {
	stdin, stdout, stderr, tty bool
	detachKeys                 string
}

// attach opens the container's streams; nothing is copied until stream is called.
func (a *App) attach(ctx context.Context, api *client.Client, id string, o attachOptions) (*session, error) {
	if !o.stdin && !o.stdout && !o.stderr {
		return &session{}, nil
	}
	got, err := api.ContainerAttach(ctx, id, client.ContainerAttachOptions{
		Stream: true, Stdin: o.stdin, Stdout: o.stdout, Stderr: o.stderr, DetachKeys: o.detachKeys,
	})
	if err != nil {
		return nil, err
	}
	keys, err := parseKeys(o.detachKeys)
	if err != nil {
		got.Close()
		return nil, err
	}
	s := &session{conn: &got.HijackedResponse, out: a.Out, err: a.Err, tty: o.tty, keys: keys}
	if o.stdin {
		s.in = a.In
	}
	return s, nil
}

// session is an open pair of streams to a container or an exec.
type session struct {
	conn     *client.HijackedResponse
	in       io.Reader // nil when stdin is not attached
	out, err io.Writer
	tty      bool
	keys     []byte
}

func (s *session) close() {
	if s.conn != nil {
		s.conn.Close()
	}
}

// stream copies until the output ends or the user detaches. The end of the input closes only our half of the connection.
func (s *session) stream(ctx context.Context) error {
	if s.conn == nil {
		return nil
	}
	restore, err := s.raw()
	if err != nil {
		return err
	}
	defer restore()
	output := make(chan error, 1)
	go func() { output <- s.copyOut() }()
	input := make(chan error, 1)
	if s.in != nil {
		go func() { input <- s.copyIn() }()
	}
	for {
		select {
		case err := <-output:
			return err
		case err := <-input:
			if err != nil {
				return err
			}
			input = nil // the input is done; the container may have more to say
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *session) copyOut() error {
	var err error
	if s.tty {
		_, err = io.Copy(s.out, s.conn.Reader)
	} else {
		_, err = stdcopy.StdCopy(s.out, s.err, s.conn.Reader)
	}
	if err != nil {
		return fmt.Errorf("read the container's output: %w", err)
	}
	return nil
}

func (s *session) copyIn() error {
	in := s.in
	if s.tty {
		in = &keyReader{r: s.in, keys: s.keys}
	}
	if _, err := io.Copy(s.conn.Conn, in); err != nil {
		if errors.Is(err, errDetached) {
			return err
		}
		return nil // the container closed its input or is gone; its output tells the rest
	}
	_ = s.conn.CloseWrite() // the same holds here
	return nil
}

// raw puts a terminal that feeds a container's terminal into raw mode; the result puts it back.
func (s *session) raw() (func(), error) {
	f, ok := terminal(s.in)
	if !s.tty || !ok {
		return func() {}, nil
	}
	state, err := term.MakeRaw(int(f.Fd()))
	if err != nil {
		return nil, fmt.Errorf("set the terminal to raw mode: %w", err)
	}
	return func() { _ = term.Restore(int(f.Fd()), state) }, nil
}
