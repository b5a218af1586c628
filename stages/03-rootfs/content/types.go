// Package content keeps blobs by digest on disk, in the layout that containerd and OCI image layouts share:
//
//	blobs/sha256/HEX     a whole, verified blob; never changes
//	ingest/HASH/…        a blob on its way in: data, ref, startedat, total
//
// A blob appears under its digest only by rename, after its size and its digest were verified and it was
// synced. So whatever is below blobs is good, and whatever is below ingest may be resumed or thrown away.
package content

import (
	"errors"
	"io"
	"time"

	"github.com/opencontainers/go-digest"
)

// The kinds of error, for errors.Is. They come wrapped with the digest or ref and the cause.
var (
	ErrNotFound = errors.New("not found")
	ErrExists   = errors.New("already exists")
	ErrLocked   = errors.New("locked by another writer")
	ErrDigest   = errors.New("content does not match")  // another digest or size than promised
	ErrInvalid  = errors.New("invalid digest or range") // nothing on disk was touched
)

// Info describes a blob.
type Info struct {
	Digest    digest.Digest
	Size      int64 // bytes
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Status describes an ingest: a blob that is not whole yet.
type Status struct {
	Ref       string
	Offset    int64         // bytes written so far
	Total     int64         // bytes promised, 0 when unknown
	Expected  digest.Digest // promised, "" when unknown
	StartedAt time.Time
	UpdatedAt time.Time // of the last write
}

// ReaderAt reads a blob at any place.
type ReaderAt interface {
	io.ReaderAt
	io.Closer
	Size() int64
}
