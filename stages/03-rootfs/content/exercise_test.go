package content_test

import (
	"errors"
	"io"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
	"github.com/slipway-engine/slipway/stages/03-rootfs/content"
	"github.com/stretchr/testify/require"
)

const verifyTitle = "what has a digest for a name has these bytes"

// TestVerify is the test of the exercise rootfs.verify.
func TestVerify(t *testing.T) {
	const good, evil = "the bytes that were promised", "the bytes that did arrive..."
	promised := digest.FromString(good)
	s := open(t)
	_, err := arrive(t, s, good, int64(len(good)), promised)
	teach.Begun(t, err)
	require.NoError(t, err, "what is right is taken")
	require.NoError(t, s.Delete(promised))

	_, err = arrive(t, s, evil, int64(len(evil)), promised)
	if _, there := s.Info(promised); there == nil {
		teach.Fail(t, teach.Diagnosis{
			Exercise: "rootfs.verify", Code: "FS-VERIFY-2", Title: verifyTitle,
			Did:   "began a blob that shall be " + short(promised) + ", wrote other bytes of the same length, and committed",
			Saw:   "the store has a blob of that name; the bytes in it are " + short(digest.FromString(evil)),
			Want:  "content.ErrDigest, and no blob of that name",
			Means: "the blob was named by what was promised. Whoever reads it later asks for that digest and looks no further: this is the one place where bytes and name meet, so the name has to be the hash of the bytes that were written.",
			Try:   "sha256sum the file below blobs/sha256/ of any image layout and compare it with its name",
			Read:  "docs/03-rootfs.md#digests",
		})
	}
	if !errors.Is(err, content.ErrDigest) {
		teach.Fail(t, teach.Diagnosis{
			Exercise: "rootfs.verify", Code: "FS-VERIFY-1", Title: verifyTitle,
			Did:   "began a blob that shall be " + short(promised) + ", wrote other bytes of the same length, and committed",
			Saw:   "no content.ErrDigest: the bytes were taken, under the name " + short(digest.FromString(evil)),
			Want:  "content.ErrDigest: a registry, a proxy or a disk has changed the blob on its way",
			Means: "the promise was not held against what came. The blob has a name of its own, but its reader was told another one and will not find it, or was told nothing and goes on with what a stranger sent.",
			Try:   "curl a blob of a registry through sha256sum; then change one byte of its file in the registry and pull it with docker",
			Read:  "docs/03-rootfs.md#digests",
		})
	}
	sizeCounts(t, s, good, promised)
}

// sizeCounts holds a blob with the right digest against a wrong size.
func sizeCounts(t *testing.T, s *content.Store, good string, promised digest.Digest) {
	t.Helper()
	_, err := arrive(t, s, good, int64(len(good))+100, promised)
	if !errors.Is(err, content.ErrDigest) {
		teach.Fail(t, teach.Diagnosis{
			Exercise: "rootfs.verify", Code: "FS-VERIFY-3", Title: verifyTitle,
			Did:   "began a blob whose descriptor promises 128 bytes and its digest, wrote the 28 bytes that have this digest, and committed",
			Saw:   "no error",
			Want:  "content.ErrDigest: a descriptor is a digest and a size, and both are held to",
			Means: "the digest alone says which bytes, but it is known only at the end. The size is what lets a reader stop before: who does not hold it to the descriptor believes a manifest that lies, and reserves, shows and limits by a number that means nothing.",
			Try:   "skopeo inspect --raw of an image: each descriptor has digest and size",
			Read:  "docs/03-rootfs.md#digests    image-spec, descriptor.md, size",
		})
	}
}

// arrive writes text as a blob of which size and digest are promised.
func arrive(t *testing.T, s *content.Store, text string, size int64, promised digest.Digest) (digest.Digest, error) {
	t.Helper()
	w, err := s.Writer("arrive", size, promised)
	require.NoError(t, err)
	defer func() {
		require.NoError(t, w.Close())
		if err := s.Abort("arrive"); !errors.Is(err, content.ErrNotFound) {
			require.NoError(t, err)
		}
	}()
	_, err = io.WriteString(w, text)
	require.NoError(t, err)
	return w.Commit(0, "")
}

func short(d digest.Digest) string { return d.String()[:19] }
