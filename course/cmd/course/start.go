package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/course/exercise"
	"github.com/slipway-engine/slipway/course/marks"
)

func newStart() *cobra.Command {
	return &cobra.Command{
		Use: "start STAGE", Short: "Give the learner a copy of a stage, below learn/, with its exercises cut out",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runStart(cmd.OutOrStdout(), args[0]) },
	}
}

func runStart(out io.Writer, name string) error {
	root, err := checkout()
	if err != nil {
		return err
	}
	stages, err := chosen(root, []string{name})
	if err != nil {
		return err
	}
	stage := stages[0]
	dir, there := copied(root, stage)
	if there {
		return fmt.Errorf("learn/%s is there already; your work in it stays as it is", stage)
	}
	if err := skeleton(filepath.Join(root, "stages", stage), dir); err != nil {
		return err
	}
	if err := workspace(root); err != nil {
		return err
	}
	list, err := exercise.Load(root, stage)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "learn/%s is yours: %d exercises are cut out of it.\n", stage, len(list))
	if len(list) > 0 {
		fmt.Fprintf(out, "Begin with %s in learn/%s/%s: %s (%d minutes).\n", list[0].Slug, stage, list[0].File, list[0].Title, list[0].Minutes)
	}
	fmt.Fprintf(out, "make stage-%s test   tells how far you are\n", stage[1:2])
	return nil
}

// skeleton copies a stage with every exercise stubbed.
func skeleton(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			if rel == filepath.Join("testdata", "mistakes") {
				return filepath.SkipDir
			}
			return os.MkdirAll(target, 0o755)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.HasSuffix(path, ".go") && strings.Contains(string(b), "//ex:begin ") {
			cut, err := marks.Cut(string(b), func(string) bool { return true })
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			b = []byte(cut)
		}
		return os.WriteFile(target, b, 0o644)
	})
}

// workspace writes learn/go.work: the learner's copies, and the reference for
// every other stage.
func workspace(root string) error {
	stages, err := exercise.Stages(root)
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("go 1.26.8\n\nuse (\n")
	for _, s := range stages {
		if _, mine := copied(root, s); mine {
			fmt.Fprintf(&b, "\t./%s\n", s)
		} else {
			fmt.Fprintf(&b, "\t../stages/%s\n", s)
		}
	}
	b.WriteString(")\n")
	return os.WriteFile(filepath.Join(root, "learn", "go.work"), []byte(b.String()), 0o644)
}
