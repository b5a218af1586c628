package matrix

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-engine/slipway/course/gotest"
	"github.com/slipway-engine/slipway/course/verdict"
)

// bench compiles each cut's tests once and runs them as often as asked. Two cuts
// that differ only in files which a package's tests do not contain have the same
// test binary, and so the same verdict: most neighbours cost nothing.
type bench struct {
	root, dir, tmp string
	runner         gotest.Runner
	tests          map[string][]string // package -> the folders that its tests are linked from

	mu    sync.Mutex // guards built
	built map[string]*built
}

// built is one test binary, by the sources that went into it.
type built struct {
	once     sync.Once
	path     string
	err      error
	verdicts map[string]verdict.Verdict // by pattern
	took     map[string]time.Duration
}

// compile builds the binaries of all rows, jobs at a time.
func (m *Matrix) compile(ctx context.Context, rows []row) error {
	if err := m.bench.contents(ctx, rows); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, m.Jobs))
	for _, r := range rows {
		for _, t := range r.trials {
			group.Go(func() error {
				b, err := m.bench.binary(ctx, t)
				if err != nil {
					return err
				}
				if _, said := errors.AsType[*gotest.BuildError](b.err); b.err != nil && !said { // what the compiler says is for the verdict
					return fmt.Errorf("%s, %s: %w", t.e.Slug, t.name, b.err)
				}
				return nil
			})
		}
	}
	return group.Wait()
}

// contents asks go list which folders each package's tests are linked from.
func (b *bench) contents(ctx context.Context, rows []row) error {
	b.tests = map[string][]string{}
	for _, r := range rows {
		for _, t := range r.trials {
			if _, known := b.tests[t.e.Package]; known {
				continue
			}
			cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-test", "-f", "{{.Dir}}", t.e.Package)
			cmd.Dir = b.dir
			out, err := cmd.Output()
			if e, ok := errors.AsType[*exec.ExitError](err); ok {
				return fmt.Errorf("go list %s: %s", t.e.Package, e.Stderr)
			}
			if err != nil {
				return err
			}
			b.tests[t.e.Package] = strings.Fields(string(out))
		}
	}
	return nil
}

// relevant are the sources of a trial that its package's tests contain, and the
// key of the binary that they make.
func (b *bench) relevant(t trial) (map[string]string, string) {
	files := map[string]string{}
	sum := sha256.New()
	fmt.Fprintln(sum, t.e.Package)
	for _, path := range slices.Sorted(maps.Keys(t.files)) {
		if slices.Contains(b.tests[t.e.Package], filepath.Dir(path)) {
			files[path] = t.files[path]
			fmt.Fprintf(sum, "%s\n%s\n", path, t.files[path])
		}
	}
	return files, fmt.Sprintf("%x", sum.Sum(nil)[:8])
}

func (b *bench) binary(ctx context.Context, t trial) (*built, error) {
	files, key := b.relevant(t)
	b.mu.Lock()
	it := b.built[key]
	if it == nil {
		it = &built{verdicts: map[string]verdict.Verdict{}, took: map[string]time.Duration{}}
		b.built[key] = it
	}
	b.mu.Unlock()
	var err error
	it.once.Do(func() {
		dir := filepath.Join(b.tmp, key)
		var overlay string
		if overlay, err = writeOverlay(dir, b.root, files); err != nil {
			return
		}
		it.path = filepath.Join(dir, "tests")
		it.err = gotest.Build(ctx, b.dir, t.e.Package, it.path, nil, "-overlay", overlay)
	})
	return it, err
}

// run gives the verdict of a trial. One that was given before for the same
// binary and the same test is given again, unless more than one run is asked
// for.
func (b *bench) run(ctx context.Context, t trial, count int) (verdict.Verdict, time.Duration, error) {
	it, err := b.binary(ctx, t)
	if err != nil {
		return verdict.Verdict{}, 0, err
	}
	if said, ok := errors.AsType[*gotest.BuildError](it.err); ok {
		return verdict.Verdict{State: verdict.Broken, Text: said.Output}, 0, nil
	}
	if it.err != nil {
		return verdict.Verdict{}, 0, it.err
	}
	if v, known := it.verdicts[t.e.Test]; known && count == 1 {
		return v, it.took[t.e.Test], nil
	}
	start := time.Now()
	r, err := b.runner.Run(ctx, it.path, b.dir, t.e.Package, t.e.Pattern(), nil, count)
	if err != nil {
		return verdict.Verdict{}, 0, err
	}
	it.verdicts[t.e.Test], it.took[t.e.Test] = verdict.Read(r), time.Since(start)
	return it.verdicts[t.e.Test], it.took[t.e.Test], nil
}

// writeOverlay makes files stand in for those on the disk (go help build,
// -overlay).
func writeOverlay(dir, root string, files map[string]string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	replace := map[string]string{}
	for path, src := range files {
		to := filepath.Join(dir, strings.ReplaceAll(strings.TrimPrefix(path, root), "/", "_"))
		if err := os.WriteFile(to, []byte(src), 0o600); err != nil {
			return "", err
		}
		replace[path] = to
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, b, 0o600)
}

// vet compiles and vets a cut.
func (m *Matrix) vet(ctx context.Context, stubbed func(string) bool, packages ...string) error {
	files, err := m.cut(stubbed)
	if err != nil {
		return err
	}
	overlay, err := writeOverlay(filepath.Join(m.bench.tmp, "vet"), m.Root, files)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", append([]string{"vet", "-overlay", overlay}, packages...)...)
	cmd.Dir = m.dir()
	m.Checks++
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go vet: %s", out)
	}
	return nil
}
