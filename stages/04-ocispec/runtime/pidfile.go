package runtime

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
)

// writePIDFile writes a process id so that a reader finds all of it or nothing. The file that it is made in has a name that nobody
// could have put a link at: the directory may be everybody's.
func writePIDFile(name string, pid int) error {
	if name == "" {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-")
	if err != nil {
		return err
	}
	_, err = f.WriteString(strconv.Itoa(pid))
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}
