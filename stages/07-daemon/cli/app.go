package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// DefaultHost is where slipway-daemon listens.
const DefaultHost = "unix:///run/slipway/slipway.sock"

// App is what every verb shares.
type App struct {
	Streams
	Getenv func(string) string
	Now    func() time.Time

	host string // -H
}

// connect makes a client for the daemon named by -H, SLIPWAY_HOST or DOCKER_HOST. It negotiates the version at the first call.
func (a *App) connect() (*client.Client, error) {
	options := []client.Opt{client.WithUserAgent("slipway-cli"), client.WithHost(a.daemonHost())}
	if a.Getenv("DOCKER_TLS_VERIFY") != "" || a.Getenv("DOCKER_CERT_PATH") != "" {
		options = append(options, client.WithTLSClientConfigFromEnv())
	}
	if a.Getenv("DOCKER_API_VERSION") != "" {
		options = append(options, client.WithAPIVersionFromEnv())
	}
	return client.New(options...)
}

func (a *App) daemonHost() string {
	for _, host := range []string{a.host, a.Getenv("SLIPWAY_HOST"), a.Getenv("DOCKER_HOST")} {
		if host != "" {
			return host
		}
	}
	return DefaultHost
}

// StatusError ends the client with a code; an empty text prints nothing, because the container has said all there is.
type StatusError struct {
	Code int
	Text string
}

// Error returns the text.
func (e StatusError) Error() string { return e.Text }

// each runs act for every name, prints the name when it worked, and joins the errors.
func (a *App) each(names []string, act func(string) error) error {
	var failed error
	for _, name := range names {
		err := act(name)
		if errors.Is(err, errSaid) {
			continue
		}
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		a.println(name)
	}
	return failed
}

// println writes a line of output. That a reader has left shows in the exit status of the write that matters, the flush at the end;
// single lines are not worth an error each.
func (a *App) println(words ...any) { fmt.Fprintln(a.Out, words...) }

func (a *App) warn(text string) { fmt.Fprintf(a.Err, "WARNING: %s\n", text) }

// closeAfter closes what was only read from.
func closeAfter(c io.Closer) { _ = c.Close() }

// wording turns the client library's words for a missing daemon into ours.
func (a *App) wording(err error) string {
	if client.IsErrConnectionFailed(err) && errors.Is(err, os.ErrNotExist) {
		return a.absent()
	}
	return a.named(err.Error())
}

// absent says that nobody listens.
func (a *App) absent() string {
	return fmt.Sprintf("Cannot connect to the Slipway daemon at %s. Is the slipway daemon running?", a.daemonHost())
}

// named puts our name where the library says that no daemon answered.
func (a *App) named(text string) string {
	if !strings.HasPrefix(text, "Cannot connect to the Docker daemon") {
		return text
	}
	return strings.NewReplacer("Docker daemon", "Slipway daemon", "docker daemon", "slipway daemon").Replace(text)
}

// isNotFound tells the daemon's 404.
func isNotFound(err error) bool { return cerrdefs.IsNotFound(err) }

// complain prints what is worth saying and is no failure.
func (a *App) complain(err error) { fmt.Fprintln(a.Err, err) }
