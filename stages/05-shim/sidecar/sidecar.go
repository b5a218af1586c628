// Package sidecar runs a helper beside a container (slipway-proxy, which serves its published
// ports): started before it, restarted when it dies, ended with it. The shim does this because the
// daemon may be restarted at any time, and connections must not notice.
package sidecar

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/slipway-engine/slipway/stages/05-shim/reap"
)

// Annotation in config.json asks for a sidecar; its value is a Spec as JSON.
const Annotation = "io.slipway.sidecar"

// Spec is the program to run.
type Spec struct {
	Args []string `json:"args"`
}

// ParseSpec reads the annotation's value.
func ParseSpec(value string) (Spec, error) {
	var s Spec
	if err := json.Unmarshal([]byte(value), &s); err != nil {
		return s, fmt.Errorf("annotation %s: %w", Annotation, err)
	}
	if len(s.Args) == 0 || !filepath.IsAbs(s.Args[0]) {
		return s, fmt.Errorf("annotation %s: args[0] must be an absolute path", Annotation)
	}
	return s, nil
}

const (
	readyWithin  = 10 * time.Second       // for the report on fd 3
	firstRestart = 100 * time.Millisecond // after a death; doubled up to lastRestart
	lastRestart  = time.Second
	endWithin    = 500 * time.Millisecond // from SIGTERM to SIGKILL
)

// Sidecar is a supervised helper.
type Sidecar struct {
	spec   Spec
	reaper *reap.Reaper
	log    *slog.Logger
	stop   chan struct{}
	end    func()
	wg     sync.WaitGroup
}

// Start starts the helper and waits until it is ready; its own words are the error otherwise.
func Start(spec Spec, reaper *reap.Reaper, log *slog.Logger) (*Sidecar, error) {
	s := &Sidecar{spec: spec, reaper: reaper, log: log, stop: make(chan struct{})}
	s.end = sync.OnceFunc(func() { close(s.stop) })
	started := make(chan error, 1)
	s.wg.Go(func() { s.supervise(started) })
	if err := <-started; err != nil {
		s.wg.Wait()
		return nil, fmt.Errorf("sidecar %s: %w", filepath.Base(spec.Args[0]), err)
	}
	return s, nil
}

// Stop ends the helper and waits for its end.
func (s *Sidecar) Stop() {
	s.end()
	s.wg.Wait()
}

// supervise owns an OS thread: PR_SET_PDEATHSIG is sent when the thread that forked ends
// (prctl(2)), and Go ends idle threads. With it, a helper never outlives a shim that was killed.
func (s *Sidecar) supervise(started chan<- error) {
	runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
	process, err := s.launch()
	started <- err
	if err != nil {
		return
	}
	pause := firstRestart
	for {
		if process != nil {
			select {
			case <-process.Done():
				s.log.Warn("sidecar died and is started again", "program", s.spec.Args[0], "status", process.Exit().Status)
				process.Close()
			case <-s.stop:
				terminate(process)
				return
			}
		}
		select {
		case <-time.After(pause):
		case <-s.stop:
			return
		}
		if process, err = s.launch(); err != nil {
			s.log.Error("sidecar does not start", "program", s.spec.Args[0], "err", err)
			pause = min(2*pause, lastRestart)
		} else {
			pause = firstRestart
		}
	}
}

func terminate(p *reap.Process) {
	defer p.Close()
	if p.Signal(syscall.SIGTERM) != nil {
		return
	}
	select {
	case <-p.Done():
	case <-time.After(endWithin):
		_ = p.Signal(syscall.SIGKILL) // gone already is fine
	}
}

// launch starts the program and waits for its report.
func (s *Sidecar) launch() (*reap.Process, error) {
	report, theirs, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	defer report.Close()
	cmd := exec.Command(s.spec.Args[0], s.spec.Args[1:]...)
	cmd.ExtraFiles = []*os.File{theirs} // fd 3
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	process, err := s.reaper.Start(cmd)
	theirs.Close()
	if err != nil {
		return nil, err
	}
	if err := s.awaitReady(report); err != nil {
		_ = process.Signal(syscall.SIGKILL) // gone already is fine
		process.Close()
		return nil, err
	}
	return process, nil
}

// awaitReady reads docker-proxy's report: "0\n" when ready, or "1\n" and the error.
func (s *Sidecar) awaitReady(report *os.File) error {
	stopped := make(chan struct{})
	defer close(stopped)
	go func() {
		select {
		case <-s.stop:
			_ = report.SetReadDeadline(time.Now())
		case <-stopped:
		}
	}()
	if err := report.SetReadDeadline(time.Now().Add(readyWithin)); err != nil {
		return fmt.Errorf("wait for its report: %w", err)
	}
	verdict := make([]byte, 2)
	if _, err := io.ReadFull(report, verdict); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("not ready within %s", readyWithin)
		}
		return errors.New("ended without reporting ready")
	}
	if string(verdict) == "0\n" {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(report, 4096))
	if len(text) == 0 && err != nil {
		return fmt.Errorf("read its report: %w", err)
	}
	return errors.New(strings.TrimSpace(string(text)))
}
