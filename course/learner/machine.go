package learner

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/slipway-engine/slipway/course/exercise"
	"github.com/slipway-engine/slipway/course/gotest"
	"github.com/slipway-engine/slipway/course/verdict"
)

// MachineDir is where files must be that the virtual machine is to see: it has
// a /tmp of its own.
func MachineDir(root string) (string, error) {
	dir := filepath.Join(root, ".cache", "vm")
	return dir, os.MkdirAll(dir, 0o755)
}

// Machine is the command that runs another one in a virtual machine with pure
// cgroup v2.
func Machine(root string) string { return filepath.Join(root, "course", "vm", "run") }

// TryInVM runs the tests of all exercises in one virtual machine, booted once.
// The trial's folder must be one that the machine sees. What the machine itself
// says goes to stderr.
func (t *Trial) TryInVM(ctx context.Context, list []exercise.Exercise, stderr io.Writer) (map[string]verdict.Verdict, error) {
	all := map[string]verdict.Verdict{}
	var script strings.Builder
	for _, e := range list {
		dir, binary, v, err := t.build(ctx, e)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Slug, err)
		}
		if v != nil {
			all[e.Slug] = *v
			continue
		}
		fmt.Fprintf(&script, "echo; echo %s%s; cd %s &&", begin, e.Slug, quote(filepath.Join(dir, e.Package)))
		for _, a := range t.run.Args(binary, e.Package, e.Pattern(), 1) {
			script.WriteString(" " + quote(a))
		}
		script.WriteString("\n")
	}
	if script.Len() == 0 {
		return all, nil
	}
	path := filepath.Join(t.tmp, "tests.sh")
	if err := os.WriteFile(path, []byte(script.String()+"exit 0\n"), 0o755); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, Machine(t.Root), "--", "sh", path)
	cmd.Dir, cmd.Stderr = t.Root, stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("the virtual machine: %w", err)
	}
	for _, part := range bytes.Split(out, []byte("\n"+begin))[1:] {
		slug, said, _ := strings.Cut(string(part), "\n")
		r, err := gotest.Parse(strings.NewReader(said))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", slug, err)
		}
		all[strings.TrimSpace(slug)] = verdict.Read(r)
	}
	return all, nil
}

// begin stands before an exercise's slug in what the machine says.
const begin = "== exercise "

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
