package applets

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
)

// start runs a program found on PATH with this command's own streams; without a process it returns 126 or 127.
func (p *Proc) start(argv []string) (*os.Process, int) {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return nil, p.cannot(argv[0], err)
	}
	files := []*os.File{os.Stdin, os.Stdout, os.Stderr}
	for i, stream := range []any{p.In, p.Out, p.Err} {
		if f, ok := stream.(*os.File); ok {
			files[i] = f
		}
	}
	proc, err := os.StartProcess(path, argv, &os.ProcAttr{Files: files, Env: os.Environ()})
	if err != nil {
		return nil, p.cannot(argv[0], err)
	}
	return proc, 0
}

// cannot reports why a program was not started: 127 when it is not there, 126 when it may not be run.
func (p *Proc) cannot(name string, err error) int {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		p.failf("%s: not found", name)
		return 127
	}
	p.failf("%s: %s", name, capital(errors.Unwrap(err)))
	return 126
}

// statusOf is the status a shell gives a process: its exit code, or 128 and the signal that ended it.
func statusOf(state *os.ProcessState) int {
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return state.ExitCode()
}

// env prints the environment, or runs a command with a changed one.
func env(p *Proc) int {
	opt, args, ok := p.getopt("iu:")
	if !ok {
		return 125
	}
	vars := os.Environ()
	if opt.has('i') {
		vars = nil
	}
	drop := func(name string) {
		vars = slices.DeleteFunc(vars, func(kv string) bool { return strings.HasPrefix(kv, name+"=") })
	}
	if name, given := opt['u']; given {
		drop(name)
	}
	for len(args) > 0 && strings.Contains(args[0], "=") {
		name, _, _ := strings.Cut(args[0], "=")
		drop(name)
		vars, args = append(vars, args[0]), args[1:]
	}
	if len(args) == 0 {
		for _, kv := range vars {
			fmt.Fprintln(p.Out, kv)
		}
		return 0
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		return p.cannot(args[0], err)
	}
	return p.cannot(args[0], &os.PathError{Op: "execve", Path: args[0], Err: syscall.Exec(path, args, vars)})
}

func printenv(p *Proc) int {
	if len(p.Args) == 1 {
		return env(p)
	}
	status := 0
	for _, name := range p.Args[1:] {
		if value, ok := os.LookupEnv(name); ok {
			fmt.Fprintln(p.Out, value)
		} else {
			status = 1
		}
	}
	return status
}

func which(p *Proc) int {
	status := 0
	for _, name := range p.Args[1:] {
		path, err := exec.LookPath(name)
		if err != nil {
			status = 1
			continue
		}
		fmt.Fprintln(p.Out, path)
	}
	return status
}

// xargs runs a command with the words of standard input: -n words at a time, or once per line in place of -I.
func xargs(p *Proc) int {
	opt, command, ok := p.getopt("rn:I:0t")
	if !ok {
		return 1
	}
	if len(command) == 0 {
		command = []string{"echo"}
	}
	text, err := io.ReadAll(p.In)
	if err != nil {
		return p.fail(err)
	}
	words := splitInput(string(text), opt)
	if len(words) == 0 && (opt.has('r') || opt.has('I')) {
		return 0
	}
	size := max(len(words), 1)
	if n, given := opt['n']; given {
		if _, err := fmt.Sscan(n, &size); err != nil || size < 1 {
			return p.failf("invalid number '%s'", n)
		}
	}
	status := 0
	run := func(argv []string) {
		if opt.has('t') {
			fmt.Fprintln(p.Err, strings.Join(argv, " "))
		}
		if p.runWait(argv) != 0 {
			status = 123
		}
	}
	if mark, given := opt['I']; given {
		for _, word := range words {
			argv := slices.Clone(command)
			for i := range argv {
				argv[i] = strings.ReplaceAll(argv[i], mark, word)
			}
			run(argv)
		}
		return status
	}
	if len(words) == 0 {
		run(command)
	}
	for batch := range slices.Chunk(words, size) {
		run(append(slices.Clone(command), batch...))
	}
	return status
}

func splitInput(text string, opt flags) []string {
	switch {
	case opt.has('0'):
		return strings.FieldsFunc(text, func(r rune) bool { return r == 0 })
	case opt.has('I'):
		return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
	}
	return strings.Fields(text)
}

func (p *Proc) runWait(argv []string) int {
	proc, status := p.start(argv)
	if proc == nil {
		return status
	}
	state, err := proc.Wait()
	if err != nil {
		return p.fail(err)
	}
	return statusOf(state)
}
