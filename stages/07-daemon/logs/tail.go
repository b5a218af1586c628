package logs

import (
	"bytes"
	"io"
	"os"
)

const chunk = 64 << 10

// seekTail positions the files (oldest first) so that reading from the returned index on gives the last n lines.
func seekTail(files []*os.File, n int) (int, error) {
	for i := len(files) - 1; i >= 0; i-- {
		found, err := seekLast(files[i], n)
		if err != nil {
			return 0, err
		}
		if n -= found; n <= 0 {
			return i, nil
		}
	}
	return 0, nil
}

// seekLast positions f before its last n lines and tells how many there are. It reads backwards, a chunk at a
// time, so the cost is that of the lines asked for.
func seekLast(f *os.File, n int) (int, error) {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, nil
	}
	found := 0
	buf := make([]byte, chunk)
	for at := end; at > 0; {
		size := min(at, chunk)
		at -= size
		if _, err := f.ReadAt(buf[:size], at); err != nil {
			return 0, err
		}
		for i := bytes.LastIndexByte(buf[:size], '\n'); i >= 0; i = bytes.LastIndexByte(buf[:i], '\n') {
			if found++; found > n {
				_, err := f.Seek(at+int64(i)+1, io.SeekStart)
				return n, err
			}
		}
	}
	_, err = f.Seek(0, io.SeekStart)
	return found, err
}
