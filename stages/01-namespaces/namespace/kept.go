package namespace

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"strings"
)

// addKept adds the namespaces that bind mounts hold, whether or not somebody is in them.
func addKept(found map[ID]*Namespace) error {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		kind, id, path, ok := kept(lines.Text())
		if !ok {
			continue
		}
		if found[id] == nil {
			found[id] = &Namespace{ID: id, Kind: kind, Path: path}
		}
		found[id].KeptAt = append(found[id].KeptAt, path)
	}
	return lines.Err()
}

// kept reads a line of mountinfo: the root of a mount of nsfs is the namespace's name, "net:[4026531840]"
// (proc_pid_mountinfo(5)).
func kept(line string) (kind string, id ID, path string, ok bool) {
	head, tail, _ := strings.Cut(line, " - ")
	f := strings.Fields(head)
	if len(f) < 6 || !strings.HasPrefix(tail, "nsfs ") {
		return "", 0, "", false
	}
	kind, number, ok := strings.Cut(strings.TrimSuffix(f[3], "]"), ":[")
	n, err := strconv.ParseUint(number, 10, 64)
	return kind, ID(n), unescape.Replace(f[4]), ok && err == nil
}

// unescape undoes what the kernel does to blanks in paths.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
