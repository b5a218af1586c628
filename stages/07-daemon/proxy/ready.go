package proxy

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// readyFD is where docker-proxy, and so slipway-proxy, reports.
const readyFD = 3

// ReadyPipe is the pipe that whoever started us listens on; nil when a person did. It must be asked for before anything else
// opens a descriptor.
func ReadyPipe() *os.File {
	var st unix.Stat_t
	if unix.Fstat(readyFD, &st) != nil {
		return nil
	}
	if kind := st.Mode & unix.S_IFMT; kind != unix.S_IFIFO && kind != unix.S_IFSOCK {
		return nil
	}
	unix.CloseOnExec(readyFD)
	return os.NewFile(readyFD, "ready pipe")
}

// Report tells the starter how listening went, 0 and a newline or 1, a newline and why not, and closes the pipe.
func Report(pipe *os.File, err error) error {
	if pipe == nil {
		return nil
	}
	text := "0\n"
	if err != nil {
		text = fmt.Sprintf("1\n%s", err)
	}
	_, werr := pipe.WriteString(text)
	if cerr := pipe.Close(); werr == nil {
		werr = cerr
	}
	return werr
}
