// Package gotest runs go test and counts: nothing is skipped silently.
package gotest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// Result counts tests (not packages), and keeps what failed and why each skip.
type Result struct {
	Passed, Failed, Skipped int
	Skips                   []string // "package TestName: reason"
	Output                  string   // of failed tests and packages
}

type event struct {
	Action, Package, Test, Output string
	ImportPath, FailedBuild       string
}

// Run executes `go test -json ARGS` in dir, with env added to the environment,
// and reports each finished package on progress.
func Run(ctx context.Context, dir string, env []string, progress io.Writer, args ...string) (Result, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, args...)...)
	cmd.Dir = dir
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
	r, err := read(out, progress)
	if err != nil {
		return r, fmt.Errorf("read go test's output: %w", err)
	}
	if err := cmd.Wait(); err != nil && r.Failed == 0 {
		r.Failed++
		r.Output += stderr.String()
	}
	return r, nil
}

// Parse adds up what test2json has written.
func Parse(in io.Reader) (Result, error) { return read(in, io.Discard) }

// read adds up the stream of test2json events (cmd/test2json).
func read(in io.Reader, progress io.Writer) (Result, error) {
	var r Result
	output := map[string]*strings.Builder{}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			r.Output += lines.Text() + "\n"
			continue
		}
		key := e.Package + " " + e.Test
		if e.Action == "build-output" {
			key = e.ImportPath
		}
		if output[key] == nil {
			output[key] = new(strings.Builder)
		}
		switch e.Action {
		case "output", "build-output":
			output[key].WriteString(e.Output)
		case "pass", "fail", "skip":
			r.ended(e, output[key].String(), output[e.FailedBuild])
			if e.Test == "" && e.Action != "skip" {
				fmt.Fprintf(progress, "%-4s %s\n", map[string]string{"pass": "ok", "fail": "FAIL"}[e.Action], e.Package)
			}
			delete(output, key)
		}
	}
	return r, lines.Err()
}

func (r *Result) ended(e event, said string, build *strings.Builder) {
	switch {
	case e.Test == "":
		if e.Action == "fail" {
			if build != nil {
				said = build.String() + said
				r.Failed++
			}
			r.Output += said
		}
	case e.Action == "pass":
		r.Passed++
	case e.Action == "fail":
		r.Failed++
		r.Output += said
	case e.Action == "skip":
		r.Skipped++
		r.Skips = append(r.Skips, fmt.Sprintf("%s %s: %s", e.Package, e.Test, reason(said)))
	}
}

// reason takes the words of t.Skip out of a test's output.
func reason(said string) string {
	for line := range strings.Lines(said) {
		if _, why, ok := strings.Cut(line, ".go:"); ok {
			_, why, _ = strings.Cut(why, ": ")
			return strings.TrimSpace(why)
		}
	}
	return "no reason given"
}

// Add sums two results.
func (r *Result) Add(o Result) {
	r.Passed += o.Passed
	r.Failed += o.Failed
	r.Skipped += o.Skipped
	r.Skips = append(r.Skips, o.Skips...)
	r.Output += o.Output
}
