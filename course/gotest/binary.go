package gotest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// BuildError is what the compiler says.
type BuildError struct{ Output string }

func (e *BuildError) Error() string { return "go test -c: " + strings.TrimSpace(e.Output) }

// Build compiles the tests of pkg ("./cgroup", below dir) into the file to. A
// test binary can then be run many times, for many patterns.
func Build(ctx context.Context, dir, pkg, to string, env []string, flags ...string) error {
	args := append([]string{"test", "-c", "-vet=off", "-ldflags=-s -w", "-o", to}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if _, failed := errors.AsType[*exec.ExitError](err); failed {
		return &BuildError{string(out)}
	}
	return err
}

// Runner runs test binaries.
type Runner struct{ test2json string }

// NewRunner finds cmd/test2json, which tells the binaries' output apart.
func NewRunner(ctx context.Context) (Runner, error) {
	// Running it once builds it; then -n has its path.
	for _, args := range [][]string{{"tool", "test2json"}, {"tool", "-n", "test2json"}} {
		out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput()
		if err != nil {
			return Runner{}, fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, out)
		}
		if args[1] == "-n" {
			return Runner{strings.TrimSpace(string(out))}, nil
		}
	}
	return Runner{}, nil
}

// Args is the command that runs the tests of a binary that match pattern, count times, and tells of them in JSON.
func (r Runner) Args(binary, pkg, pattern string, count int) []string {
	return []string{
		r.test2json, "-t", "-p", pkg, binary,
		"-test.v=test2json", "-test.paniconexit0", "-test.timeout=5m", "-test.run=" + pattern, "-test.count=" + strconv.Itoa(count),
	}
}

// Run runs the tests of a binary that match pattern, in the folder of their
// package as go test does, count times.
func (r Runner) Run(ctx context.Context, binary, dir, pkg, pattern string, env []string, count int) (Result, error) {
	args := r.Args(binary, pkg, pattern, count)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = filepath.Join(dir, pkg)
	cmd.Env = append(cmd.Environ(), env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return Result{}, err
	}
	if err := cmd.Start(); err != nil {
		return Result{}, err
	}
	result, err := read(out, io.Discard)
	if err != nil {
		return result, fmt.Errorf("read the output of %s: %w", pkg, err)
	}
	if err := cmd.Wait(); err != nil && result.Failed == 0 {
		result.Failed++
		result.Output += stderr.String()
	}
	return result, nil
}
