package isolate

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
)

// Range maps Count ids from Inside on to as many from Outside on.
type Range struct{ Inside, Outside, Count uint32 }

// ParseRange reads INSIDE:OUTSIDE:COUNT, as unshare(1) takes it.
func ParseRange(s string) (Range, error) {
	f := strings.Split(s, ":")
	if len(f) != 3 {
		return Range{}, fmt.Errorf("%q is not INSIDE:OUTSIDE:COUNT", s)
	}
	var n [3]uint32
	for i, text := range f {
		v, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return Range{}, fmt.Errorf("%q: %q is no id", s, text)
		}
		n[i] = uint32(v)
	}
	if n[2] == 0 {
		return Range{}, fmt.Errorf("%q maps no id", s)
	}
	return Range{n[0], n[1], n[2]}, nil
}

// Maps are the user and group ids of a new user namespace.
type Maps struct{ Users, Groups []Range }

func (m Maps) steps() []launch.Step {
	steps := []launch.Step{
		{
			Name:    m.name(),
			Because: "user_namespaces(7); an ordinary user needs newuidmap(1) and a range in /etc/subuid",
			Do:      func(run *launch.Run) error { return m.write(run.PID()) },
		},
	}
	if hasRoot(m.Users) && hasRoot(m.Groups) {
		steps = append(steps, launch.BecomeRoot())
	}
	return steps
}

func (m Maps) name() string {
	var parts []string
	if len(m.Users) > 0 {
		parts = append(parts, "users "+words(m.Users))
	}
	if len(m.Groups) > 0 {
		parts = append(parts, "groups "+words(m.Groups))
	}
	return "map " + strings.Join(parts, " and ")
}

// hasRoot tells whether somebody is 0 inside: who is not mapped, nobody can become (setresuid(2), EINVAL).
func hasRoot(ranges []Range) bool {
	return slices.ContainsFunc(ranges, func(r Range) bool { return r.Inside == 0 })
}

// write is direct for root, and by the setuid helpers for everyone else.
func (m Maps) write(pid int) error {
	if os.Geteuid() != 0 {
		return errors.Join(helper("newuidmap", pid, m.Users), helper("newgidmap", pid, m.Groups))
	}
	for file, ranges := range map[string][]Range{"uid_map": m.Users, "gid_map": m.Groups} {
		if len(ranges) == 0 {
			continue // until a map is written, every id is 65534
		}
		path := fmt.Sprintf("/proc/%d/%s", pid, file)
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(words(ranges), ", ", "\n")+"\n"), 0); err != nil {
			return err
		}
	}
	return nil
}

func helper(program string, pid int, ranges []Range) error {
	if len(ranges) == 0 {
		return nil
	}
	args := []string{strconv.Itoa(pid)}
	for _, r := range ranges {
		args = append(args, strings.Fields(r.String())...)
	}
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(string(out)))
	}
	return nil
}

func (r Range) String() string { return fmt.Sprintf("%d %d %d", r.Inside, r.Outside, r.Count) }

func words(ranges []Range) string {
	text := make([]string, len(ranges))
	for i, r := range ranges {
		text[i] = r.String()
	}
	return strings.Join(text, ", ")
}
