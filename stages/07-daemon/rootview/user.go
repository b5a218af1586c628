package rootview

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/moby/sys/user"
	"golang.org/x/sys/unix"
)

const maxFile = 4 << 20 // bytes of passwd(5) or group(5) that we read

// User looks up Docker's USER[:GROUP] in the container's own passwd and group files; either may be missing, then
// only numbers are understood. groups are added by --group-add.
func (r *Root) User(spec string, groups []string) (*user.ExecUser, error) {
	passwd, err := r.read("/etc/passwd")
	if err != nil {
		return nil, err
	}
	group, err := r.read("/etc/group")
	if err != nil {
		return nil, err
	}
	found, err := user.GetExecUser(spec, &user.ExecUser{Home: "/"}, bytes.NewReader(passwd), bytes.NewReader(group))
	if err != nil {
		return nil, err
	}
	if len(groups) > 0 {
		more, err := user.GetAdditionalGroups(groups, bytes.NewReader(group))
		if err != nil {
			return nil, err
		}
		found.Sgids = append(found.Sgids, more...)
	}
	return found, nil
}

func (r *Root) read(name string) ([]byte, error) {
	f, err := r.Open(name, unix.O_RDONLY|unix.O_NONBLOCK)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s in the container is not a regular file: %w", name, os.ErrInvalid)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s in the container has more than %d bytes", name, maxFile)
	}
	return data, err
}
