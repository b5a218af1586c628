package stdio

import (
	"fmt"

	"github.com/slipway-engine/slipway/stages/05-shim/jsonlog"
)

// opener opens the outputs of one process; stdout and stderr may share a log file or a program.
type opener struct {
	set     *Set
	request Request
	logs    map[string]*jsonlog.File // by path
	running *program
}

func newOpener(set *Set, r Request) *opener {
	return &opener{set: set, request: r, logs: map[string]*jsonlog.File{}}
}

// open makes the sink a target asks for.
func (o *opener) open(t Target, stream string) (sink, error) {
	switch t.Kind {
	case Null:
		return discard{}, nil
	case FIFO:
		return openOutFIFO(t.Path)
	case Plain:
		return openAppend(t.Path)
	case JSONFile:
		return o.withTee(t, func() (sink, error) { return o.jsonFile(t, stream) })
	case None:
		return o.withTee(t, func() (sink, error) { return discard{}, nil })
	case Binary:
		return o.programPipe(t)
	}
	return nil, fmt.Errorf("no way to write to %s://", t.Kind)
}

func (o *opener) withTee(t Target, open func() (sink, error)) (sink, error) {
	log, err := open()
	if err != nil || t.Tee == "" {
		return log, err
	}
	show, err := openTee(t.Tee, o.set.streams.Patient, o.set.streams.Log)
	if err != nil {
		log.Close()
		return nil, err
	}
	return both{log: log, show: show}, nil
}

func (o *opener) jsonFile(t Target, stream string) (sink, error) {
	file := o.logs[t.Path]
	if file == nil {
		var err error
		file, err = jsonlog.Open(t.Path, jsonlog.Options{MaxSize: t.MaxSize, MaxFiles: t.MaxFiles})
		if err != nil {
			return nil, err
		}
		o.logs[t.Path] = file
		o.set.onClose(func() { file.Close() })
	}
	return logStream{file.Stream(stream)}, nil
}

// logStream is a sink whose file outlives it: the other stream may still write.
type logStream struct{ *jsonlog.Stream }

func (logStream) Hurry()       {}
func (logStream) Close() error { return nil }

// discard is the sink of output nobody wants.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Flush() error                { return nil }
func (discard) Hurry()                      {}
func (discard) Close() error                { return nil }
