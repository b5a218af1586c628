package idmap_test

import (
	"strings"
	"testing"

	"github.com/slipway-engine/slipway/stages/03-rootfs/idmap"
	"github.com/stretchr/testify/require"
)

func TestTake(t *testing.T) {
	two := []idmap.Range{{Container: 0, Host: 100000, Size: 1000}, {Container: 1000, Host: 5, Size: 1}}
	for _, row := range []struct {
		name    string
		options []string
		want    *idmap.Map
		rest    []string
		wantErr string
	}{
		{name: "none", options: []string{"ro", "lowerdir=/a"}, rest: []string{"ro", "lowerdir=/a"}},
		{
			name: "both", options: []string{"ro", "uidmap=0:100000:1000,1000:5:1", "gidmap=0:100000:1000,1000:5:1", "nodev"},
			want: &idmap.Map{UIDs: two, GIDs: two}, rest: []string{"ro", "nodev"},
		},
		{name: "one alone", options: []string{"uidmap=0:1:1"}, wantErr: `id map "" is not CONTAINER:HOST:SIZE`},
		{name: "two numbers", options: []string{"uidmap=0:1", "gidmap=0:1:1"}, wantErr: `id map "0:1" is not`},
		{name: "a word", options: []string{"uidmap=0:x:1", "gidmap=0:1:1"}, wantErr: `id map "0:x:1" is not`},
		{name: "no ids", options: []string{"uidmap=0:1:0", "gidmap=0:1:1"}, wantErr: `beyond the last id`},
		{name: "too far", options: []string{"uidmap=0:4294967295:1", "gidmap=0:1:1"}, wantErr: `beyond the last id`},
		{name: "too many", options: []string{"uidmap=" + strings.Repeat("0:1:1,", 340) + "0:1:1", "gidmap=0:1:1"}, wantErr: `more than 340 ranges`},
	} {
		ids, rest, err := idmap.Take(row.options)
		if row.wantErr != "" {
			require.ErrorContains(t, err, row.wantErr, row.name)
			require.ErrorIs(t, err, idmap.ErrInvalid, row.name)
			continue
		}
		require.NoError(t, err, row.name)
		require.Equal(t, row.want, ids, row.name)
		require.Equal(t, row.rest, rest, row.name)
		if ids != nil {
			again, _, err := idmap.Take(ids.Options())
			require.NoError(t, err)
			require.Equal(t, ids, again)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("0:100000:65536", "0:1:1,5:6:7")
	f.Fuzz(func(t *testing.T, uids, gids string) {
		m, err := idmap.Parse(uids, gids)
		if err != nil || m == nil {
			return
		}
		again, _, err := idmap.Take(m.Options())
		require.NoError(t, err)
		require.Equal(t, m, again)
	})
}
