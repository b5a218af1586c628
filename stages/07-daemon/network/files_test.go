package network

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestResolvConf(t *testing.T) {
	rows := []struct {
		name, host string
		user       Resolver
		want       string
	}{
		{"the host's", "# c\nnameserver 10.0.0.2\nsearch a b\noptions ndots:2\n", Resolver{}, "nameserver 10.0.0.2\nsearch a b\noptions ndots:2\n"},
		{"loopback means another machine inside", "nameserver 127.0.0.53\nnameserver 10.0.0.2\n", Resolver{}, "nameserver 10.0.0.2\n"},
		{"nothing left", "nameserver 127.0.0.1\nnameserver ::1\n", Resolver{}, "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"},
		{"the user's", "nameserver 10.0.0.2\nsearch a\n", Resolver{Servers: []string{"1.1.1.1"}, Search: []string{"."}, Options: []string{"use-vc"}}, "nameserver 1.1.1.1\noptions use-vc\n"},
		{"domain is search, the last counts", "domain a\nsearch b c\nnameserver 10.0.0.2", Resolver{}, "nameserver 10.0.0.2\nsearch b c\n"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			got, err := ResolvConf([]byte(row.host), row.user)
			require.NoError(t, err)
			require.Equal(t, row.want, string(got))
		})
	}
	for _, bad := range []Resolver{{Servers: []string{"1.1.1.1\nnameserver 6.6.6.6"}}, {Servers: []string{"dns.example"}}, {Search: []string{"a\nb"}}, {Options: []string{""}}} {
		_, err := ResolvConf(nil, bad)
		require.ErrorIs(t, err, ErrInvalid)
	}
}

func TestHostsFile(t *testing.T) {
	got, err := HostsFile(Hosts{
		Hostname: "web", Domainname: "example.org", IPv4: netip.MustParseAddr("172.18.0.2"),
		Extra: []HostEntry{{"db", netip.MustParseAddr("10.0.0.5")}},
	})
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(got), "127.0.0.1\tlocalhost\n::1\tlocalhost"), string(got))
	require.True(t, strings.HasSuffix(string(got), "10.0.0.5\tdb\n172.18.0.2\tweb.example.org web\n"), string(got))
	_, err = HostsFile(Hosts{Hostname: "a\n6.6.6.6 bank.example", IPv4: netip.MustParseAddr("172.18.0.2")})
	require.ErrorIs(t, err, ErrInvalid)
}

func TestResolvConfPath(t *testing.T) {
	require.Equal(t, "/run/systemd/resolve/resolv.conf", ResolvConfPath([]byte("nameserver 127.0.0.53\n")))
	require.Equal(t, "/etc/resolv.conf", ResolvConfPath([]byte("nameserver 127.0.0.53\nnameserver 10.0.0.2\n")))
}

// FuzzResolvConf: whatever the host's file says, each line of ours is one of the three we write.
func FuzzResolvConf(f *testing.F) {
	f.Add([]byte("nameserver 10.0.0.2\nsearch a b\noptions ndots:2\n"))
	f.Add([]byte("search \x00 a#b;c\r\nnameserver fe80::1%eth0\n"))
	f.Fuzz(func(t *testing.T, host []byte) {
		got, err := ResolvConf(host, Resolver{})
		if err != nil {
			return
		}
		require.Contains(t, string(got), "nameserver ")
		for l := range strings.Lines(string(got)) {
			require.Regexp(t, `^(nameserver|search|options) \S`, l)
		}
	})
}

func FuzzParsePortList(f *testing.F) {
	f.Add("1,2-4,10")
	f.Add("65535-65535,")
	f.Fuzz(func(t *testing.T, s string) {
		set, err := parsePortList(s)
		if err == nil {
			require.LessOrEqual(t, len(set), 65536)
		}
	})
}
