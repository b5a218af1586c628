package differential

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func mode(m os.FileMode) *os.FileMode { return &m }
func number(n uint32) *uint32         { return &n }
func whole(n int) *int                { return &n }

// without takes a namespace away: the host's is used.
func without(s *specs.Spec, kind specs.LinuxNamespaceType) {
	s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == kind })
}

func with(s *specs.Spec, kind specs.LinuxNamespaceType) {
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: kind})
}

func ownUsers(s *specs.Spec) {
	with(s, specs.UserNamespace)
	s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
	s.Linux.GIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 200000, Size: 65536}}
}

// source makes something to mount beside the bundle.
func source(dir string, file bool) string {
	if file {
		path := filepath.Join(dir, "source-file")
		_ = os.WriteFile(path, []byte("mounted\n"), 0o644)
		return path
	}
	path := filepath.Join(dir, "source")
	_ = os.MkdirAll(filepath.Join(path, "sub"), 0o755)
	_ = os.WriteFile(filepath.Join(path, "file"), []byte("mounted\n"), 0o644)
	return path
}
