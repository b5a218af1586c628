package stdio

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/05-shim/reap"
)

// program is containerd's logging binary: it reads the container's stdout from descriptor 3 and
// stderr from 4, and closes 5 when it is ready. The container writes to its pipes directly.
type program struct {
	process *reap.Process
	ends    [2]int // write ends for stdout and stderr; -1: handed out
}

const (
	programReady = 10 * time.Second // how long a logging program may take to get ready
	programEnd   = 12 * time.Second // and to finish when its input has ended
)

// program gives the container the program's pipe as descriptor i. Both outputs share one program.
func (o *opener) program(i int, t Target) error {
	fd, err := o.programEnd(i, t)
	if err != nil {
		return err
	}
	o.set.giveChild(i, fd, o.request)
	return nil
}

// programPipe is for a terminal's output, which passes through the shim.
func (o *opener) programPipe(t Target) (sink, error) {
	fd, err := o.programEnd(1, t)
	if err != nil {
		return nil, err
	}
	f, err := polled(fd, t.Path)
	if err != nil {
		return nil, err
	}
	return plainFile{f}, nil
}

func (o *opener) programEnd(i int, t Target) (fd int, err error) {
	if o.running == nil {
		if o.running, err = o.startProgram(t); err != nil {
			return 0, err
		}
		running := o.running
		o.set.onClose(running.end)
	}
	fd = o.running.ends[i-1]
	o.running.ends[i-1] = -1
	return fd, nil
}

func (o *opener) startProgram(t Target) (_ *program, err error) {
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			f.Close()
		}
	}()
	p := &program{}
	for i := range p.ends {
		read, write, err := pipe()
		if err != nil {
			return nil, err
		}
		theirs = append(theirs, os.NewFile(uintptr(read), "log"))
		p.ends[i] = write
	}
	ready, notReady, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer ready.Close()
	theirs = append(theirs, notReady)

	cmd := exec.Command(t.Path, t.Args...)
	cmd.Env = append(os.Environ(), "CONTAINER_ID="+o.request.ID, "CONTAINER_NAMESPACE="+o.request.Namespace)
	cmd.ExtraFiles = theirs
	p.process, err = o.set.streams.Reaper.Start(cmd)
	if err != nil {
		p.closeEnds()
		return nil, fmt.Errorf("start logging program: %w", err)
	}
	notReady.Close()
	ready.SetReadDeadline(time.Now().Add(programReady))
	if _, err := ready.Read(make([]byte, 1)); err != nil && !errors.Is(err, io.EOF) {
		p.end()
		return nil, fmt.Errorf("logging program %s did not get ready: %w", t.Path, err)
	}
	return p, nil
}

func (p *program) closeEnds() {
	for i, fd := range p.ends {
		if fd >= 0 {
			unix.Close(fd)
			p.ends[i] = -1
		}
	}
}

// end waits for the program to finish what it has read, then makes it.
func (p *program) end() {
	p.closeEnds()
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		select {
		case <-p.process.Done():
		case <-time.After(programEnd):
			p.process.Signal(sig)
		}
	}
	p.process.Close()
}
