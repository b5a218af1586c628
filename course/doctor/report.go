package doctor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Report is what whoever reads a bug report asks first, as Markdown. It names no
// user, no host and no path of yours.
func Report(ctx context.Context, all []Finding) string {
	var b strings.Builder
	b.WriteString("### Machine\n\n")
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		fmt.Fprintf(&b, "- kernel: %s %s\n", unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Version[:]))
	}
	fmt.Fprintf(&b, "- system: %s, %s, %d CPUs, %s\n", distribution(), runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	fmt.Fprintf(&b, "- user: %d\n", os.Geteuid())
	if out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output(); err == nil {
		fmt.Fprintf(&b, "- source: %s\n", strings.TrimSpace(string(out)))
	}
	fmt.Fprintf(&b, "- cgroups: %s\n\n### Doctor\n\n| result | check | stages | evidence |\n|---|---|---|---|\n", hierarchies())
	for _, f := range all {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", f.Result, f.Name, f.Stages, strings.ReplaceAll(strings.TrimSpace(f.Evidence), "|", `\|`))
	}
	return b.String()
}

func distribution() string {
	b, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "an unnamed distribution"
	}
	for line := range strings.Lines(string(b)) {
		if name, ok := strings.CutPrefix(line, "PRETTY_NAME="); ok {
			return strings.Trim(strings.TrimSpace(name), `"`)
		}
	}
	return "an unnamed distribution"
}

// hierarchies lists the cgroup mounts with their controllers.
func hierarchies() string {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err.Error()
	}
	var found []string
	for line := range strings.Lines(string(b)) {
		before, fs, _ := strings.Cut(strings.TrimSpace(line), " - ")
		f := strings.Fields(before)
		switch {
		case len(f) < 5:
		case strings.HasPrefix(fs, "cgroup2 "):
			on, _ := os.ReadFile(f[4] + "/cgroup.controllers")
			found = append(found, fmt.Sprintf("v2 on %s (%s)", f[4], strings.TrimSpace(string(on))))
		case strings.HasPrefix(fs, "cgroup "):
			found = append(found, "v1 on "+f[4])
		}
	}
	return strings.Join(found, ", ")
}
