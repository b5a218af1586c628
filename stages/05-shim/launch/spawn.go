package launch

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Spawn starts the serving process: this program again, in a session of its own so that no signal
// for its parent's terminal or group reaches it, with the listener as descriptor 3. It belongs to
// nobody when the caller leaves; the manager is a subreaper and becomes its parent.
func Spawn(l *net.UnixListener, args []string, dir string) (*os.Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	socket, err := l.File()
	if err != nil {
		return nil, fmt.Errorf("pass on the socket: %w", err)
	}
	defer socket.Close()
	cmd := exec.Command(self, args...)
	cmd.Dir = dir
	cmd.ExtraFiles = []*os.File{socket}
	// One is enough for a pump, and every thread costs 100 KiB. With a fixed number Go also keeps no
	// control group files open to watch for another.
	cmd.Env = append(os.Environ(), threads+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the serving process: %w", err)
	}
	return cmd.Process, nil
}

const (
	threads = "GOMAXPROCS"
	stay    = "SLIPWAY_SHIM_STAY"
)

// Serving is called in the serving process: what was set for it is not for its children.
func Serving() error { return errors.Join(os.Unsetenv(threads), os.Unsetenv(stay)) }

// MayStay says whether the process that was asked to start may be the serving one itself: its
// manager asked for that, and has given it a session of its own, as Spawn would.
func MayStay() bool {
	session, err := unix.Getsid(0)
	return os.Getenv(stay) != "" && err == nil && session == os.Getpid()
}

// LetGo replaces standard input, output and error by /dev/null: whoever reads them sees the end.
func LetGo() error {
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /dev/null: %w", err)
	}
	defer unix.Close(null)
	for fd := range 3 {
		if err := unix.Dup3(null, fd, 0); err != nil {
			return fmt.Errorf("let go of descriptor %d: %w", fd, err)
		}
	}
	return nil
}

// RaiseOOMScore makes the kernel, when memory runs out, choose the shim one step before the manager,
// whose score it has inherited (proc_pid_oom_score_adj(5)). Raising the score is always allowed.
func RaiseOOMScore(pid int) error {
	data, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return fmt.Errorf("read oom score: %w", err)
	}
	score, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return fmt.Errorf("read oom score: %w", err)
	}
	path := "/proc/" + strconv.Itoa(pid) + "/oom_score_adj"
	if err := os.WriteFile(path, []byte(strconv.Itoa(min(score+1, 1000))), 0); err != nil {
		return fmt.Errorf("set oom score: %w", err)
	}
	return nil
}

// groupLabels are the annotations by which containers share a shim.
func groupLabels() []string {
	return []string{"io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id"}
}

// Group is which containers share this one's shim: its own id, or what config.json says of its pod.
func Group(bundle, id string) string {
	data, err := os.ReadFile(filepath.Join(bundle, "config.json"))
	if err != nil {
		return id
	}
	var spec struct {
		Annotations map[string]string `json:"annotations"`
	}
	if json.Unmarshal(data, &spec) != nil {
		return id
	}
	for _, label := range groupLabels() {
		if group := spec.Annotations[label]; group != "" {
			return group
		}
	}
	return id
}

// Answer is what `start` prints: the bare address, or, for a manager that says which version of the
// protocol it knows, containerd's bootstrap parameters as JSON. stays tells a manager that asked for
// it that the process will not exit; others never see the word.
func Answer(address, maxVersion string, stays bool) (string, error) {
	version, err := strconv.Atoi(maxVersion)
	if err != nil || version < 2 {
		return address, nil
	}
	data, err := json.Marshal(struct {
		Version  int    `json:"version"`
		Address  string `json:"address"`
		Protocol string `json:"protocol"`
		Stays    bool   `json:"stays,omitempty"`
	}{min(version, 3), address, "ttrpc", stays})
	if err != nil {
		return "", fmt.Errorf("encode address: %w", err)
	}
	return string(data), nil
}

// WriteAddress puts the address into the bundle, atomically: a manager that restarts finds the shim by it.
func WriteAddress(bundle, address string) error {
	path := filepath.Join(bundle, "address")
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, []byte(address), 0o600); err != nil {
		return fmt.Errorf("write address: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("write address: %w", err)
	}
	return nil
}
