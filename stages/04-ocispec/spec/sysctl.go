package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// ipcKeys are the kernel.* settings that belong to an ipc namespace (ipc_namespaces(7)).
func ipcKeys() []string {
	return []string{
		"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced",
	}
}

// sysctls lets only settings through that belong to a namespace of the container: all others are the host's.
func sysctls(s *specs.Spec) error {
	for key, value := range s.Linux.Sysctl {
		field := fmt.Sprintf("linux.sysctl[%q]", key)
		if !plainKey(key) {
			return fmt.Errorf("%s: it is no name of a setting", field)
		}
		if strings.ContainsAny(value, "\x00\n") { // one value, not lines of them (CVE-2022-0811)
			return fmt.Errorf("%s: its value is not one line", field)
		}
		kind, known := namespaceOf(key)
		if !known {
			return fmt.Errorf("%s: it is not in a separate kernel namespace", field)
		}
		if !Has(s, kind) {
			return fmt.Errorf("%s: it needs a %s namespace of the container's own", field, kind)
		}
		if key == "kernel.hostname" && s.Hostname != "" {
			return fmt.Errorf("%s: it conflicts with hostname", field)
		}
	}
	return nil
}

// plainKey refuses keys that would be other paths than the one below /proc/sys.
func plainKey(key string) bool {
	parts := strings.FieldsFunc(key, func(r rune) bool { return r == '.' || r == '/' })
	return len(parts) > 1 && !strings.Contains(key, "..") && !strings.Contains(key, "//") && !strings.ContainsRune(key, 0) &&
		!strings.HasPrefix(key, "/") && !strings.HasPrefix(key, ".")
}

func namespaceOf(key string) (specs.LinuxNamespaceType, bool) {
	dotted := strings.ReplaceAll(key, "/", ".")
	switch {
	case slices.Contains(ipcKeys(), dotted), strings.HasPrefix(dotted, "fs.mqueue."):
		return specs.IPCNamespace, true
	case dotted == "kernel.hostname", dotted == "kernel.domainname":
		return specs.UTSNamespace, true
	case strings.HasPrefix(dotted, "net."):
		return specs.NetworkNamespace, true
	case strings.HasPrefix(dotted, "user."):
		return specs.UserNamespace, true
	}
	return "", false
}

// SysctlPath is the path of a setting below /proc/sys. Dots separate, unless the key is written with slashes, which is how an
// interface whose name has a dot is named (sysctl(8)).
func SysctlPath(key string) string {
	dot, slash := strings.IndexByte(key, '.'), strings.IndexByte(key, '/')
	if slash >= 0 && (dot < 0 || slash < dot) {
		return key
	}
	return strings.Map(func(r rune) rune {
		switch r {
		case '.':
			return '/'
		case '/':
			return '.'
		}
		return r
	}, key)
}
