//go:build interop

package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// world is what all tests share: a registry with images in it, and an engine.
type world struct {
	dir      string
	target   string
	engine   *engine
	registry *exec.Cmd
	images   images
}

// registryAddr is on loopback: clients and engines use plain HTTP there without being told.
const registryAddr = "127.0.0.1:5000"

func newWorld(dir, target string) (*world, error) {
	w := &world{dir: dir, target: target}
	start := time.Now()
	if err := w.startRegistry(); err != nil {
		return nil, err
	}
	made, err := pushImages(dir)
	if err != nil {
		return nil, fmt.Errorf("images: %w", err)
	}
	w.images = made
	fmt.Printf("registry %s holds %s after %s\n", registryAddr, made, time.Since(start).Round(time.Millisecond))
	w.engine, err = newEngine(filepath.Join(dir, "engine"), target)
	if err != nil {
		return nil, err
	}
	return w, w.engine.start()
}

func (w *world) startRegistry() error {
	config := filepath.Join(w.dir, "registry.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"+
		"storage: {filesystem: {rootdirectory: %s/registry}}\nhttp: {addr: %q}\n", w.dir, registryAddr)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	w.registry = exec.Command("docker-registry", "serve", config)
	log, err := os.Create(filepath.Join(w.dir, "registry.log"))
	if err != nil {
		return err
	}
	w.registry.Stdout, w.registry.Stderr = log, log
	if err := w.registry.Start(); err != nil {
		return err
	}
	return eventually(10*time.Second, func() error {
		resp, err := http.Get("http://" + registryAddr + "/v2/")
		if err != nil {
			return err
		}
		return resp.Body.Close()
	})
}

func (w *world) close() error {
	err := w.engine.stop()
	_ = w.registry.Process.Kill()
	_ = w.registry.Wait()
	return err
}

// eventually asks again until there is no error or the time is over.
func eventually(limit time.Duration, ask func() error) error {
	end := time.Now().Add(limit)
	for {
		err := ask()
		if err == nil || time.Now().After(end) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// another makes a second engine, not started, in the place of the first for the time of the test. Its directory has a short
// name, because a socket's path has at most 107 bytes (unix(7)).
func another(t *testing.T, target string) *engine {
	t.Helper()
	usual := theWorld.engine
	dir, err := os.MkdirTemp(theWorld.dir, "e")
	require.NoError(t, err)
	e, err := newEngine(dir, target)
	require.NoError(t, err)
	require.NoError(t, usual.stop()) // two engines would disagree about ports and bridges
	theWorld.engine = e
	t.Cleanup(func() {
		require.NoError(t, e.stop())
		theWorld.engine = usual
		require.NoError(t, usual.start())
	})
	return e
}

// result is how a command ended.
type result struct {
	args     []string
	out, err string
	code     int
}

func (r result) String() string {
	return fmt.Sprintf("docker %s\nexit %d\nstdout: %s\nstderr: %s", strings.Join(r.args, " "), r.code, r.out, r.err)
}

// docker runs the docker command to its end, with a limit of its own so that a hang names itself.
func docker(t *testing.T, args ...string) result { return dockerIn(t, nil, args...) }

func dockerIn(t *testing.T, stdin io.Reader, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := theWorld.engine.docker(ctx, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errs
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("hangs: docker %s\nstdout: %s\nstderr: %s", strings.Join(args, " "), out.String(), errs.String())
	}
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		t.Fatal(err)
	}
	return result{args, out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// must runs the docker command, which has to succeed, and returns what it prints, trimmed.
func must(t *testing.T, args ...string) string {
	t.Helper()
	r := docker(t, args...)
	require.Zero(t, r.code, r.String())
	return strings.TrimSpace(r.out)
}

// background starts the docker command and ends it with the test.
func background(t *testing.T, args ...string) (*exec.Cmd, *lineReader) {
	t.Helper()
	cmd := theWorld.engine.docker(context.Background(), args...)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Signal(syscall.SIGKILL); _ = cmd.Wait() })
	return cmd, newLineReader(out)
}

// name is a container name for this test; whatever the test does, the container is gone afterwards.
func name(t *testing.T, suffix string) string {
	t.Helper()
	n := strings.ToLower(strings.NewReplacer("/", "-", " ", "-", "=", "-").Replace(t.Name())) + suffix
	t.Cleanup(func() { docker(t, "rm", "-f", "-v", n) })
	return n
}
