package chapter

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Block is a console block that is executed: lines that begin with "$ " are
// typed ("> " goes on with the line above), the others are what is expected.
type Block struct {
	File  string // from the checkout's root
	Line  int    // of the fence, from 1
	Needs []string
	Text  string
}

// Outcome is a block with what was not as the page says, or "".
type Outcome struct {
	Block
	Fault string
	Skip  string // what this machine lacks for it
}

// patience is how long a block may take.
const patience = time.Minute

// Run executes the blocks of those pages whose name begins with only, each in a
// folder of its own, with bin/ in front of PATH.
func Run(ctx context.Context, root, only string) ([]Outcome, error) {
	pages, err := Pages(root)
	if err != nil {
		return nil, err
	}
	var all []Outcome
	for _, path := range pages {
		if !strings.HasPrefix(filepath.Base(path), only) {
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return nil, err
		}
		for _, block := range blocks(rel, string(b)) {
			o, err := block.try(ctx, root)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", block.File, block.Line, err)
			}
			all = append(all, o)
		}
	}
	return all, nil
}

const fence = "```console run"

func blocks(file, text string) []Block {
	var found []Block
	var at *Block
	for n, line := range strings.Split(text, "\n") {
		switch {
		case at == nil && (line == fence || strings.HasPrefix(line, fence+" ")):
			at = &Block{File: file, Line: n + 1, Needs: strings.Fields(strings.TrimPrefix(line, fence))}
		case at != nil && line == "```":
			found, at = append(found, *at), nil
		case at != nil:
			at.Text += line + "\n"
		}
	}
	return found
}

func (b Block) try(ctx context.Context, root string) (Outcome, error) {
	for _, need := range b.Needs {
		lack, err := lacks(need)
		if err != nil {
			return Outcome{}, err
		}
		if lack != "" {
			return Outcome{Block: b, Skip: lack}, nil
		}
	}
	before := leftovers()
	fault, err := b.run(ctx, root)
	if err != nil || fault != "" {
		return Outcome{Block: b, Fault: fault}, err
	}
	for _, left := range leftovers() {
		if !slices.Contains(before, left) {
			return Outcome{Block: b, Fault: "  it leaves behind " + left}, nil
		}
	}
	return Outcome{Block: b}, nil
}

// lacks says what is missing for a word behind the fence.
func lacks(need string) (string, error) {
	switch need {
	case "root":
		if os.Geteuid() != 0 {
			return "needs root", nil
		}
	case "v1":
		if _, err := os.Stat("/sys/fs/cgroup/memory/cgroup.procs"); err != nil {
			return "needs cgroup v1", nil
		}
	case "v2":
		on, err := os.ReadFile("/sys/fs/cgroup/cgroup.controllers")
		if err != nil || !strings.Contains(string(on), "memory") {
			return "needs cgroup v2 (VM=1 has it)", nil
		}
	default:
		return "", fmt.Errorf("a block can need root, v1 or v2, not %q", need)
	}
	return "", nil
}

// byHand is the cgroup that the pages make.
const byHand = "by-hand"

// leftovers are the groups of the pages' name.
func leftovers() []string {
	var all []string
	for _, pattern := range []string{"/sys/fs/cgroup/" + byHand, "/sys/fs/cgroup/*/" + byHand} {
		found, err := filepath.Glob(pattern)
		if err == nil { // the patterns are ours and good
			all = append(all, found...)
		}
	}
	return all
}

// tidy removes the group above those of limit, if nobody else has one in it.
func tidy() {
	for _, pattern := range []string{"/sys/fs/cgroup/slipway-limit", "/sys/fs/cgroup/*/slipway-limit"} {
		found, _ := filepath.Glob(pattern)
		for _, dir := range found {
			_ = os.Remove(dir) // in use, or not ours alone: then it stays
		}
	}
}

// run types each command and compares what it says; a command that fails says
// so by its output, as on a terminal.
func (b Block) run(ctx context.Context, root string) (string, error) {
	dir, err := os.MkdirTemp("/var/tmp", "slipway-docs-") // overlayfs takes no overlayfs for its upper layer, and /tmp may be one
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	args, prelude := []string{"bash", "-s"}, ""
	if slices.Contains(b.Needs, "root") {
		// The blast shield: what the page does stays in namespaces that end with it. Mounts are shared again there, as on a host.
		args = append([]string{filepath.Join(root, "bin", "isolate"), "--mount", "--pid", "--mount-proc", "--ipc", "--net", "--"}, args...)
		prelude = "mount --make-rshared /; mount -t tmpfs run /run\n"
		defer tidy()
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(root, "bin")+":"+os.Getenv("PATH"), "CHECKOUT="+root, "NO_COLOR=1")
	cmd.Stdin = strings.NewReader(prelude + b.script())
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return "", fmt.Errorf("it takes longer than %s:\n%s", patience, out)
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
	lines := strings.Split(b.Text, "\n")
	for i := 0; i < len(lines); i++ {
		typed, ok := strings.CutPrefix(lines[i], "$ ")
		if !ok {
			continue
		}
		fmt.Fprintf(&s, "printf '%%s\\n' %s\n", quote("$ "+typed))
		for i+1 < len(lines) && strings.HasPrefix(lines[i+1], "> ") {
			i++
			fmt.Fprintf(&s, "printf '%%s\\n' %s\n", quote(lines[i]))
			typed += "\n" + strings.TrimPrefix(lines[i], "> ")
		}
		// A command in the background keeps the shell's own standard error.
		fmt.Fprintf(&s, "{ %s\n} 2>&1 </dev/null || true\n", typed)
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

// line is a pattern in which a lone N is a number, and … is anything.
func line(want string) *regexp.Regexp {
	pattern := regexp.MustCompile(`\bN\b`).ReplaceAllString(regexp.QuoteMeta(want), digits.String())
	return regexp.MustCompile("^" + strings.ReplaceAll(pattern, "…", ".*") + "$")
}
