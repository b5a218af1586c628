package inflate_test

import (
	"bytes"
	stdgzip "compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
	"github.com/slipway-engine/slipway/stages/03-rootfs/inflate"
	"github.com/stretchr/testify/require"
)

func pack(t testing.TB, level int, p []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := stdgzip.NewWriterLevel(&b, level)
	require.NoError(t, err)
	w.Name, w.Comment, w.Extra = "name", "comment", []byte("extra")
	_, err = w.Write(p)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func samples() map[string][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 700_000)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	words := strings.Fields("the quick brown fox jumps over a lazy dog and does it again because it was fun")
	var text bytes.Buffer
	for text.Len() < 900_000 {
		text.WriteString(words[r.IntN(len(words))])
		text.WriteByte(byte(32 + r.IntN(3)))
	}
	var short bytes.Buffer
	for i := range 5000 {
		short.WriteString(strings.Repeat(string(rune('a'+i%26)), 1+r.IntN(300)))
		short.WriteString(strings.Repeat("ab", r.IntN(100)) + strings.Repeat("xyz", r.IntN(100)))
	}
	return map[string][]byte{
		"empty": {}, "one": {7}, "noise": noise, "zeros": make([]byte, 1<<20), "text": text.Bytes(), "short patterns": short.Bytes(),
	}
}

func TestSameAsTheStandardLibrary(t *testing.T) {
	for name, p := range samples() {
		for _, level := range []int{stdgzip.HuffmanOnly, stdgzip.NoCompression, stdgzip.BestSpeed, 6, stdgzip.BestCompression} {
			z := pack(t, level, p)
			for how, r := range map[string]io.Reader{
				"at once": bytes.NewReader(z), "in halves": iotest.HalfReader(bytes.NewReader(z)), "data with the end": iotest.DataErrReader(bytes.NewReader(z)),
			} {
				zr, err := inflate.NewReader(r)
				require.NoError(t, err)
				got, err := io.ReadAll(zr)
				require.NoError(t, err, "%s, level %d, %s", name, level, how)
				require.True(t, bytes.Equal(p, got), "%s, level %d, %s", name, level, how)
			}
		}
	}
}

func TestMembers(t *testing.T) {
	p := samples()["text"]
	z := append(pack(t, 6, p), pack(t, 1, p)...)
	zr, err := inflate.NewReader(iotest.OneByteReader(bytes.NewReader(z)))
	require.NoError(t, err)
	got, err := io.ReadAll(zr)
	require.NoError(t, err)
	require.True(t, bytes.Equal(append(bytes.Clone(p), p...), got))
}

func TestBroken(t *testing.T) {
	whole := pack(t, 6, samples()["text"][:3_000])
	for n := range len(whole) {
		err := readAll(whole[:n])
		require.True(t, errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, inflate.ErrCorrupt), "cut off after %d of %d bytes: %v", n, len(whole), err)
	}
	for i := range whole[:len(whole)-8] {
		if i < 3 || i > 30 { // the name and the time in the header may say anything
			bad := bytes.Clone(whole)
			bad[i] ^= 0x55
			require.Error(t, readAll(bad), "byte %d", i)
		}
	}
	bad := bytes.Clone(whole)
	bad[len(bad)-5] ^= 1
	require.ErrorIs(t, readAll(bad), inflate.ErrChecksum)
	require.ErrorIs(t, readAll([]byte("this is no gzip file")), inflate.ErrHeader)
	require.ErrorIs(t, readAll(append(bytes.Clone(whole), "no second member"...)), inflate.ErrHeader)
	eio := errors.New("disk")
	zr, err := inflate.NewReader(io.MultiReader(bytes.NewReader(whole[:100]), iotest.ErrReader(eio)))
	require.NoError(t, err)
	_, err = io.ReadAll(zr)
	require.ErrorIs(t, err, eio)
}

func readAll(p []byte) error {
	zr, err := inflate.NewReader(bytes.NewReader(p))
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, zr)
	return err
}

// Whatever the bytes are, it says the same as the standard library.
func FuzzInflate(f *testing.F) {
	for _, p := range samples() {
		for _, level := range []int{stdgzip.HuffmanOnly, stdgzip.NoCompression, 1, 6, 9} {
			f.Add(pack(f, level, p[:min(len(p), 3000)]))
		}
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		var want, got []byte
		theirs, errT := stdgzip.NewReader(bytes.NewReader(p))
		if errT == nil {
			want, errT = io.ReadAll(io.LimitReader(theirs, 1<<20))
		}
		ours, errO := inflate.NewReader(bytes.NewReader(p))
		if errO == nil {
			got, errO = io.ReadAll(io.LimitReader(ours, 1<<20))
		}
		if errors.Is(errT, stdgzip.ErrHeader) {
			return // it checks the header's own checksum, which we pass over
		}
		require.Equal(t, errT == nil, errO == nil, "theirs: %v, ours: %v", errT, errO)
		if errT == nil {
			require.True(t, bytes.Equal(want, got))
		}
	})
}

func bench(b *testing.B, open func(io.Reader) (io.Reader, error)) {
	p, err := os.ReadFile(os.Getenv("INFLATE_BENCH"))
	if err != nil {
		b.Skip("needs INFLATE_BENCH, the path of a .gz file")
	}
	for b.Loop() {
		r, err := open(bytes.NewReader(p))
		require.NoError(b, err)
		n, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{r}, make([]byte, 256<<10))
		require.NoError(b, err)
		b.SetBytes(n)
	}
}

func BenchmarkOurs(b *testing.B) {
	bench(b, func(r io.Reader) (io.Reader, error) { return inflate.NewReader(r) })
}

func BenchmarkKlauspost(b *testing.B) {
	bench(b, func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) })
}

func BenchmarkStandard(b *testing.B) {
	bench(b, func(r io.Reader) (io.Reader, error) { return stdgzip.NewReader(r) })
}
