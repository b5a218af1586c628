package chapter

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Block is a console block that is executed: lines that begin with "$ " are
// typed, the others are what is expected.
type Block struct {
	File string // from the checkout's root
	Line int    // of the fence, from 1
	Text string
}

// Outcome is a block with what was not as the page says, or "".
type Outcome struct {
	Block
	Fault string
}

// patience is how long a block may take.
const patience = time.Minute

// Run executes the blocks of all pages, each in a folder of its own, with bin/
// in front of PATH.
func Run(ctx context.Context, root string) ([]Outcome, error) {
	pages, err := Pages(root)
	if err != nil {
		return nil, err
	}
	var all []Outcome
	for _, path := range pages {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return nil, err
		}
		for _, block := range blocks(rel, string(b)) {
			fault, err := block.run(ctx, root)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", block.File, block.Line, err)
			}
			all = append(all, Outcome{block, fault})
		}
	}
	return all, nil
}

func blocks(file, text string) []Block {
	var found []Block
	var at *Block
	for n, line := range strings.Split(text, "\n") {
		switch {
		case at == nil && line == "```console run":
			at = &Block{File: file, Line: n + 1}
		case at != nil && line == "```":
			found, at = append(found, *at), nil
		case at != nil:
			at.Text += line + "\n"
		}
	}
	return found
}

// run types each command and compares what it says; a command that fails says
// so by its output, as on a terminal.
func (b Block) run(ctx context.Context, root string) (string, error) {
	dir, err := os.MkdirTemp("", "slipway-docs-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-s")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(root, "bin")+":"+os.Getenv("PATH"), "CHECKOUT="+root)
	cmd.Stdin = strings.NewReader(b.script())
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return "", fmt.Errorf("it takes longer than %s", patience)
	}
	if err != nil {
		return fmt.Sprintf("%s\n%v", out, err), nil
	}
	if want, got := b.Text, string(out); !same(want, got) {
		return fmt.Sprintf("  want\n%s  got\n%s", want, got), nil
	}
	return "", nil
}

// script prints each command as it is typed, and runs it.
func (b Block) script() string {
	var s strings.Builder
	for line := range strings.Lines(b.Text) {
		if typed, ok := strings.CutPrefix(line, "$ "); ok {
			typed = strings.TrimSuffix(typed, "\n")
			fmt.Fprintf(&s, "printf '%%s\\n' %s\n{ %s\n} 2>&1 </dev/null || true\n", quote("$ "+typed), typed)
		}
	}
	return s.String()
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

var digits = regexp.MustCompile(`[0-9]+`)

// same compares line by line: N stands for any number, a line "…" for any lines.
func same(want, got string) bool {
	return match(lines(want), lines(got))
}

func lines(text string) []string {
	var all []string
	for l := range strings.Lines(text) {
		l = strings.Join(strings.Fields(l), " ")
		if l != "" {
			all = append(all, l)
		}
	}
	return all
}

func match(want, got []string) bool {
	if len(want) == 0 {
		return len(got) == 0
	}
	if want[0] == "…" {
		for i := range len(got) + 1 {
			if match(want[1:], got[i:]) {
				return true
			}
		}
		return false
	}
	return len(got) > 0 && line(want[0]).MatchString(got[0]) && match(want[1:], got[1:])
}

// line is a pattern in which a lone N is a number.
func line(want string) *regexp.Regexp {
	pattern := regexp.MustCompile(`\bN\b`).ReplaceAllString(regexp.QuoteMeta(want), digits.String())
	return regexp.MustCompile("^" + pattern + "$")
}
