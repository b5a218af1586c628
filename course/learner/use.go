package learner

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/slipway-engine/slipway/course/exercise"
)

// Choice says which of a stage's two sources is built.
type Choice string

const (
	Mine      Choice = "mine"
	Reference Choice = "reference"
)

// Workspace is the path of learn/go.work, in which the choices are.
func Workspace(root string) string { return filepath.Join(root, "learn", "go.work") }

// Env makes go use the learner's workspace.
func Env(root string) []string { return []string{"GOWORK=" + Workspace(root)} }

// Chosen reads the choice for a stage; without a copy it is the reference.
func Chosen(root, stage string) Choice {
	if _, there := Dir(root, stage); !there {
		return Reference
	}
	b, err := os.ReadFile(Workspace(root))
	if err == nil && strings.Contains(string(b), "\t../stages/"+stage+"\n") {
		return Reference
	}
	return Mine
}

// Use chooses for one stage, and keeps all other choices.
func Use(root, stage string, c Choice) error {
	if _, there := Dir(root, stage); c == Mine && !there {
		return fmt.Errorf("you have no copy of %s: make stage-%s start", stage, stage[1:2])
	}
	stages, err := exercise.Stages(root)
	if err != nil {
		return err
	}
	version, err := goVersion(root)
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "// Which source of each stage is built: yours, or the reference. `course use` changes it.\ngo %s\n\nuse (\n", version)
	for _, s := range stages {
		choice := Chosen(root, s)
		if s == stage {
			choice = c
		}
		if choice == Mine {
			fmt.Fprintf(&b, "\t./%s\n", s)
		} else {
			fmt.Fprintf(&b, "\t../stages/%s\n", s)
		}
	}
	b.WriteString(")\n")
	if err := os.MkdirAll(filepath.Join(root, "learn"), 0o755); err != nil {
		return err
	}
	return os.WriteFile(Workspace(root), []byte(b.String()), 0o644)
}

// goVersion is that of the checkout's own workspace.
func goVersion(root string) (string, error) {
	b, err := os.ReadFile(filepath.Join(root, "go.work"))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "go "); ok {
			return strings.TrimSpace(v), nil
		}
	}
	return "", fmt.Errorf("go.work names no version of go")
}
