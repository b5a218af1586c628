package oci

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
)

// Error is a runtime's refusal in its own words.
type Error struct {
	Verb    string
	Message string // the last error of its log, else what it wrote to stderr; may be empty
	Err     error  // how the program ended
}

func (e *Error) Error() string {
	if e.Message == "" {
		return "runtime " + e.Verb + ": " + e.Err.Error()
	}
	return "runtime " + e.Verb + ": " + e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// Gone reports whether the runtime says that the process or the container is no more. Runtimes have
// no codes for it, only words: runc's, crun's and ours are listed.
func (e *Error) Gone() bool {
	for _, words := range []string{
		"container not running", "process already finished", "no such process",
		"does not exist", "container is not running", "not running",
	} {
		if strings.Contains(strings.ToLower(e.Message), words) {
			return true
		}
	}
	return false
}

// maxLog bounds how much of a log is searched for an error.
const maxLog = 64 << 10

// message finds what went wrong: the last line of level error or worse that the log has got since
// offset from, or else the tail of stderr.
func message(log string, from int64, stderr []byte) string {
	if log != "" {
		if text := lastError(readFrom(log, from)); text != "" {
			return text
		}
	}
	lines := strings.Split(strings.TrimSpace(string(stderr)), "\n")
	return lines[len(lines)-1]
}

func lastError(log []byte) (text string) {
	for line := range bytes.Lines(log) {
		var entry struct{ Level, Msg string }
		if json.Unmarshal(line, &entry) != nil {
			continue
		}
		switch entry.Level {
		case "error", "fatal", "panic":
			text = entry.Msg
		}
	}
	return text
}

func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

func readFrom(path string, from int64) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	from = max(from, size(path)-maxLog)
	buf := make([]byte, maxLog)
	n, _ := f.ReadAt(buf, from)
	return buf[:n]
}
