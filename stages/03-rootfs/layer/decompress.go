package layer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/slipway-engine/slipway/stages/03-rootfs/inflate"
)

// Decompress gives the plain tar of a layer, whatever it was compressed with: the first bytes decide, not a media type that
// somebody claimed. It happens in this process: a helper program found by name could be the image's own (CVE-2026-41567).
func Decompress(r io.Reader) (io.ReadCloser, error) {
	br := bufio.NewReaderSize(r, 64<<10)
	magic, err := br.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}): // RFC 1952, 2.3.1
		z, err := inflate.NewReader(br)
		if err != nil {
			return nil, fmt.Errorf("decompress gzip: %w", err)
		}
		return z, nil
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}), isSkippable(magic): // RFC 8878, 3.1.1 and 3.1.2
		// 128 MiB is what a window may take from us; RFC 8878, 7.1 asks for 8 MiB at least.
		z, err := zstd.NewReader(br, zstd.WithDecoderMaxMemory(128<<20), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, fmt.Errorf("decompress zstd: %w", err)
		}
		return z.IOReadCloser(), nil
	case bytes.HasPrefix(magic, []byte("\xfd7zXZ\x00")), bytes.HasPrefix(magic, []byte("BZh")):
		return nil, fmt.Errorf("decompress: %w", ErrFormat)
	}
	return io.NopCloser(br), nil
}

// isSkippable tells whether a zstd frame begins that holds no data but somebody's notes, as zstd:chunked has them.
func isSkippable(magic []byte) bool {
	return len(magic) >= 4 && magic[0]&0xf0 == 0x50 && bytes.Equal(magic[1:4], []byte{0x2a, 0x4d, 0x18})
}
