package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

func TestConfigFile(t *testing.T) {
	for name, row := range map[string]struct {
		args []string
		file string
		want func(*testing.T, *options)
		err  string
	}{
		"file alone": {nil, `{"hosts":["unix:///a","unix:///b"],"debug":true,"live-restore":false,"mtu":1400,
			"runtimes":{"crun":{"path":"/usr/bin/crun"}}}`, func(t *testing.T, o *options) {
			require.Equal(t, []string{"unix:///a", "unix:///b"}, o.Hosts)
			require.True(t, o.Debug)
			require.False(t, o.LiveRestore)
			require.Equal(t, 1400, o.MTU)
			r, err := o.runtimes()
			require.NoError(t, err)
			require.Equal(t, "/usr/bin/crun", r["crun"])
		}, ""},
		"both":           {[]string{"--debug"}, `{"debug":true}`, nil, "specified both as a flag and in the configuration file: debug"},
		"unknown":        {nil, `{"colour":"red"}`, nil, "the following directives don't match any configuration option: colour"},
		"wrong type":     {nil, `{"mtu":"wide"}`, nil, "mtu"},
		"no JSON":        {nil, `{`, nil, "configuration file"},
		"empty is empty": {nil, ``, func(*testing.T, *options) {}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "daemon.json")
			require.NoError(t, os.WriteFile(path, []byte(row.file), 0o600))
			o, f := &options{}, pflag.NewFlagSet("x", pflag.ContinueOnError)
			o.bind(f)
			require.NoError(t, f.Parse(append(row.args, "--config-file", path)))
			err := o.readConfigFile(f)
			if row.err != "" {
				require.ErrorContains(t, err, row.err)
				return
			}
			require.NoError(t, err)
			row.want(t, o)
		})
	}
}

func TestListen(t *testing.T) {
	for host, text := range map[string]string{
		"tcp://0.0.0.0:0": "only loopback", "tcp://10.0.0.1:1": "only loopback", "fd://": "not served", "nonsense": "want unix://",
	} {
		_, err := listen([]string{host}, "")
		require.ErrorContains(t, err, text)
	}
	path := filepath.Join(t.TempDir(), "s.sock")
	first, err := listen([]string{"unix://" + path, "tcp://127.0.0.1:0"}, "no-such-group")
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o660), info.Mode().Perm())
	_, err = listen([]string{"unix://" + path}, "")
	require.ErrorContains(t, err, "another daemon")
	for _, l := range first {
		require.NoError(t, l.Close())
	}
}

func TestOneDaemonForARoot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	first, err := lockPidfile(path)
	require.NoError(t, err)
	_, err = lockPidfile(path)
	require.ErrorContains(t, err, "another daemon runs")
	require.NoError(t, first.Close())
	again, err := lockPidfile(path)
	require.NoError(t, err)
	require.NoError(t, again.Close())
}
