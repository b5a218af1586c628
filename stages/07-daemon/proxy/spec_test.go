package proxy

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseSpec(t *testing.T) {
	for _, good := range []string{
		"tcp:0.0.0.0:8080:172.18.0.2:80", "udp:127.0.0.1:53:172.18.0.2:5353", "tcp:[::]:8080:172.18.0.2:80",
		"tcp:[::1]:8080:[fd00::2]:80", "tcp:0.0.0.0:0:172.18.0.2:80",
	} {
		s, err := ParseSpec(good)
		require.NoError(t, err)
		require.Equal(t, good, s.String())
	}
	for _, bad := range []string{
		"", "tcp", "tcp:", "sctp:0.0.0.0:1:1.2.3.4:5", "tcp:0.0.0.0:1:1.2.3.4", "tcp:0.0.0.0:1:1.2.3.4:5:6", "tcp:::1:80:1.2.3.4:5",
		"tcp:0.0.0.0:65536:1.2.3.4:5", "tcp:0.0.0.0:1:1.2.3.4:0", "tcp:0.0.0.0:1:0.0.0.0:5", "tcp:localhost:1:1.2.3.4:5", "tcp:[::1:80:1.2.3.4:5",
	} {
		_, err := ParseSpec(bad)
		require.ErrorIs(t, err, ErrSpec, bad)
	}
}

// FuzzParseSpec: what is accepted prints as something that means the same.
func FuzzParseSpec(f *testing.F) {
	f.Add("tcp:0.0.0.0:8080:172.18.0.2:80")
	f.Add("udp:[fe80::1%eth0]:53:[fd00::2]:80")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSpec(text)
		if err != nil {
			return
		}
		again, err := ParseSpec(s.String())
		require.NoError(t, err, s.String())
		require.Equal(t, s, again)
	})
}
