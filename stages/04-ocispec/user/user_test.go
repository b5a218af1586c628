package user_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/04-ocispec/user"
)

func TestParse(t *testing.T) {
	uid, gid, err := user.Parse("1000:50")
	require.NoError(t, err)
	require.Equal(t, uint32(1000), uid)
	require.Equal(t, uint32(50), *gid)
	uid, gid, err = user.Parse("7")
	require.NoError(t, err)
	require.Equal(t, uint32(7), uid)
	require.Nil(t, gid)
}

func TestRefused(t *testing.T) {
	for _, s := range []string{"", "root", "-1", "+1", "1:", ":1", "4294967296", "2147483648", "99999999999999999999", " 1", "1:2:3", "0x0", "1:wheel"} {
		_, _, err := user.Parse(s)
		require.Error(t, err, s)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("0")
	f.Add("00:1")
	f.Fuzz(func(t *testing.T, s string) {
		uid, _, err := user.Parse(s)
		if err == nil && uid == 0 { // only zeros may become root
			for _, c := range s {
				if c == ':' {
					break
				}
				require.Equal(t, "0", string(c), strconv.Quote(s))
			}
		}
	})
}
