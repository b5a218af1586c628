package toolbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ProgramName is the file that is looked for beside the daemon.
const ProgramName = "slipway-toolbox"

// Default composes the image from the program that was built into this one (build tag embed_toolbox), or else from the
// slipway-toolbox beside it. The error matches fs.ErrNotExist where there is neither.
func Default() (*Image, error) {
	if program := embedded(); program != nil {
		return Compose(program)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", ProgramName, err)
	}
	return FromFile(filepath.Join(filepath.Dir(self), ProgramName))
}

// FromFile composes the image from a program on disk.
func FromFile(path string) (*Image, error) {
	program, err := os.ReadFile(path)
	if err != nil {
		var cause *os.PathError
		if errors.As(err, &cause) {
			err = cause.Err
		}
		return nil, fmt.Errorf("compose %s from %s: %w", Name, path, err)
	}
	return Compose(program)
}
