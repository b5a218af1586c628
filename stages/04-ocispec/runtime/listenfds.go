package runtime

import (
	"os"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// listenFDs passes on the sockets of systemd's activation (sd_listen_fds(3)).
func listenFDs(opts *CreateOptions, s *specs.Spec) {
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || n <= 0 || os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) && os.Getenv("LISTEN_PID") != "" {
		return
	}
	opts.PreserveFDs += n
	s.Process.Env = append(s.Process.Env, "LISTEN_FDS="+strconv.Itoa(n), "LISTEN_PID=1")
}
