package cli_test

import (
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with testdata/NAME.golden.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", strings.NewReplacer(" ", "-", "/", "-", "{", "", "}", "", "'", "", ".", "", `\t`, "_", `"`, "").Replace(name)+".golden")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

const containers = `[
 {"Id":"4f1c2ab9d7e0aaaabbbbccccddddeeeeffff00001111222233334444555566667","Names":["/web","/other/link"],"Image":"slipway/toolbox","ImageID":"sha256:1",
  "Command":"sh -c 'while true; do sleep 1; done'","Created":1699999000,"State":"running","Status":"Up 16 minutes",
  "Ports":[{"IP":"0.0.0.0","PrivatePort":81,"PublicPort":8081,"Type":"tcp"},{"IP":"::","PrivatePort":80,"PublicPort":8080,"Type":"tcp"},
           {"IP":"0.0.0.0","PrivatePort":80,"PublicPort":8080,"Type":"tcp"},{"IP":"::","PrivatePort":81,"PublicPort":8081,"Type":"tcp"},{"PrivatePort":9000,"Type":"udp"},
           {"IP":"127.0.0.1","PrivatePort":7000,"PublicPort":7000,"Type":"tcp"},{"IP":"127.0.0.1","PrivatePort":7001,"PublicPort":7001,"Type":"tcp"},{"PrivatePort":5,"Type":"tcp"},{"PrivatePort":7,"Type":"tcp"}],
  "Labels":{"com.example.role":"front","b":"2"},"Mounts":[{"Type":"volume","Name":"a-very-long-volume-name","Driver":"local"},{"Type":"bind","Source":"/srv"}],
  "NetworkSettings":{"Networks":{"bridge":{}}},"SizeRw":2048,"SizeRootFs":4300000},
 {"Id":"99aabbccddeeff","Names":["/db"],"Image":"sha256:0123456789abcdef0123","ImageID":"sha256:0123456789abcdef0123","Command":"redis","Created":1600000000,"State":"exited","Status":"Exited (0) 3 years ago"}
]`

const images = `[
 {"Id":"sha256:8ecb42c6df866b22e1ba821d3bf1dc84","RepoTags":["slipway/toolbox:latest","slipway/toolbox:1","127.0.0.1:5000/x:y"],
  "RepoDigests":["slipway/toolbox@sha256:efe0a2bd2706ec25b931b052f238b051e71acd3d1a4fa304e6c5e34d4847b62e"],"Created":1699990000,"Size":4342921},
 {"Id":"sha256:aaaaaaaaaaaaaaaaaaaa","RepoTags":null,"RepoDigests":null,"Created":1699000000,"Size":1,"Containers":-1,"SharedSize":-1}
]`

// TestListings holds the tables and templates; docker 28.2.2 prints the same for the same answers.
func TestListings(t *testing.T) {
	d := newDaemon(t, map[string]http.HandlerFunc{
		"GET /containers/json": answer(containers),
		"GET /images/json":     answer(images),
		"GET /networks":        answer(`[{"Id":"ffffffffffff0000","Name":"none","Driver":"null","Scope":"local"},{"Id":"eeeeeeeeeeee0000","Name":"bridge","Driver":"bridge","Scope":"local","EnableIPv4":true}]`),
		"GET /volumes":         answer(`{"Volumes":[{"Name":"b","Driver":"local","Scope":"local","Mountpoint":"/v/b"},{"Name":"a","Driver":"local","Scope":"local","Mountpoint":"/v/a","Labels":{"x":"y"}}]}`),
		"GET /slipway/jobs": answer(`[{"id":1,"name":"create","container":"4f1c2ab9d7e0aaaabbbb","started":"2023-11-14T22:13:10Z","duration_ns":12345678,"status":"done"},
			{"id":2,"name":"start","container":"4f1c2ab9d7e0aaaabbbb","started":"2023-11-14T22:13:15Z","duration_ns":1000000,"status":"failed","cause":"no such file"}]`),
		"GET /images/web/history":     answer(`[{"Id":"sha256:8ecb42c6df866b22e1","Created":1699990000,"CreatedBy":"/bin/sh -c #(nop)  CMD [\"sh\"] and a text that is longer than the column","Size":4342921},{"Id":"<missing>","Created":1699980000,"CreatedBy":"ADD","Comment":"first"}]`),
		"GET /containers/web/changes": answer(`[{"Kind":0,"Path":"/etc"},{"Kind":1,"Path":"/etc/new"},{"Kind":2,"Path":"/gone"}]`),
		"GET /containers/web/top":     answer(`{"Titles":["PID","CMD"],"Processes":[["1","sh"],["27","sleep 1"]]}`),
		"GET /containers/web/stats":   answer(`{"id":"4f1c2ab9d7e0aaaabbbb","name":"/web","cpu_stats":{"cpu_usage":{"total_usage":300},"system_cpu_usage":2000,"online_cpus":2},"precpu_stats":{"cpu_usage":{"total_usage":100},"system_cpu_usage":1000},"memory_stats":{"usage":3145728,"limit":67108864,"stats":{"inactive_file":1048576}},"pids_stats":{"current":3},"networks":{"eth0":{"rx_bytes":1500,"tx_bytes":700}},"blkio_stats":{"io_service_bytes_recursive":[{"op":"Read","value":4096},{"op":"write","value":10}]}}`),
		"GET /containers/web/json":    answer(`{"Id":"4f1c","Name":"/web","State":{"Running":true},"Config":{},"NetworkSettings":{"Ports":{"80/tcp":[{"HostIp":"::","HostPort":"8080"},{"HostIp":"0.0.0.0","HostPort":"8080"}],"90/tcp":null}}}`),
	})
	for _, command := range []string{
		"ps", "ps -q", "ps --no-trunc", "ps -s", "ps --format json", `ps --format {{.Names}}:{{.Ports}}`, `ps --format table {{.ID}}\t{{.Label "com.example.role"}}\t{{.Mounts}}`,
		"images", "images -q --no-trunc", "images --digests", "image ls --format json", "network ls", "network ls -q", "volume ls", "volume ls -q", `volume ls --format {{.Name}}={{.Labels}}`,
		"jobs", "jobs --format json", "top web", "stats --no-stream web", "stats --no-stream --format json web", "port web", "port web 80/tcp", "port web 90",
		"history web", "history -H=false --no-trunc web", "diff web",
		"inspect web", "inspect -f {{.State.Running}} web",
	} {
		t.Run(command, func(t *testing.T) {
			out, errs, code := d.run("", splitCommand(command)...)
			got := out
			if code != 0 || errs != "" {
				got += "--- stderr\n" + errs + "--- exit " + string(rune('0'+code)) + "\n"
			}
			golden(t, command, got)
		})
	}
}

// splitCommand splits at blanks, but keeps everything after --format that starts with table in one word.
func splitCommand(command string) []string {
	head, format, ok := strings.Cut(command, " --format table ")
	if ok {
		return append(strings.Fields(head), "--format", "table "+format)
	}
	return strings.Fields(command)
}

func TestQueries(t *testing.T) {
	d := newDaemon(t, map[string]http.HandlerFunc{
		"GET /containers/json": answer("[]"), "GET /images/json": answer("[]"), "DELETE /containers/x": status(204), "POST /containers/x/stop": status(204),
		"POST /containers/x/kill": status(204), "POST /containers/x/rename": status(204), "POST /volumes/create": answer(`{"Name":"v"}`),
		"POST /containers/x/restart": status(204), "POST /images/x/tag": status(201), "DELETE /images/x": answer(`[{"Untagged":"x:latest"},{"Deleted":"sha256:1"}]`),
		"POST /containers/x/pause": status(204), "GET /containers/x/json": answer(`{"Id":"x","Config":{"Tty":true},"State":{}}`), "GET /containers/x/logs": answer("line\n"),
		"POST /containers/x/wait": answer(`{"StatusCode":4}`), "POST /containers/x/update": answer(`{}`), "POST /networks/create": answer(`{"Id":"n"}`),
		"POST /containers/prune": answer(`{"ContainersDeleted":["a","b"],"SpaceReclaimed":2000}`), "POST /images/prune": answer(`{"ImagesDeleted":[{"Untagged":"i:1"},{"Deleted":"sha256:1"}]}`),
		"POST /networks/n/connect": status(200), "DELETE /networks/n": status(204), "POST /commit": answer(`{"Id":"sha256:9"}`),
	})
	for _, test := range []struct{ command, call, out string }{
		{"ps -a -n 2 -f name=a -f name=b", `GET /containers/json?all=1&filters=%7B%22name%22%3A%7B%22a%22%3Atrue%2C%22b%22%3Atrue%7D%7D&limit=2`, "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n"},
		{"ps -lq", `GET /containers/json?limit=1`, ""},
		{"images -q alp*", `GET /images/json?filters=%7B%22reference%22%3A%7B%22alp%2A%22%3Atrue%7D%7D`, ""},
		{"rm -fv x", `DELETE /containers/x?force=1&v=1`, "x\n"},
		{"stop x", `POST /containers/x/stop`, "x\n"},
		{"stop -t 0 -s INT x", `POST /containers/x/stop?signal=INT&t=0`, "x\n"},
		{"container restart --time 3 x", `POST /containers/x/restart?t=3`, "x\n"},
		{"kill -s HUP x", `POST /containers/x/kill?signal=HUP`, "x\n"},
		{"rename x y", `POST /containers/x/rename?name=y`, ""},
		{"pause x", `POST /containers/x/pause`, "x\n"},
		{"volume create -o a=b v", `POST /volumes/create`, "v\n"},
		{"tag x y:1", `POST /images/x/tag?repo=docker.io%2Flibrary%2Fy&tag=1`, ""},
		{"rmi -f x", `DELETE /images/x?force=1`, "Untagged: x:latest\nDeleted: sha256:1\n"},
		{"logs -f -t --tail 5 x", `GET /containers/x/logs?follow=1&stderr=1&stdout=1&tail=5&timestamps=1`, "line\n"},
		{"update -m 64m x", `POST /containers/x/update`, "x\n"},
		{"network create n", `POST /networks/create`, "n\n"},
		{"network connect n x", `POST /networks/n/connect`, ""},
		{"network rm -f nosuch n", `DELETE /networks/n`, "n\n"},
		{"container prune -f", `POST /containers/prune`, "Deleted Containers:\na\nb\n\nTotal reclaimed space: 2kB\n"},
		{"image prune -af", `POST /images/prune?filters=%7B%22dangling%22%3A%7B%22false%22%3Atrue%7D%7D`, "Deleted Images:\nuntagged: i:1\ndeleted: sha256:1\n\nTotal reclaimed space: 0B\n"},
		{"commit -m hi x r:1", `POST /commit?comment=hi&container=x&repo=docker.io%2Flibrary%2Fr&tag=1`, "sha256:9\n"},
		{"wait x", `POST /containers/x/wait`, "4\n"},
	} {
		t.Run(test.command, func(t *testing.T) {
			out, errs, code := d.run("", strings.Fields(test.command)...)
			require.Empty(t, errs)
			require.Zero(t, code)
			require.Equal(t, test.out, out)
			require.Equal(t, test.call, d.calls[len(d.calls)-1])
		})
	}
}

// TestPruneAsks: only y is yes.
func TestPruneAsks(t *testing.T) {
	d := newDaemon(t, map[string]http.HandlerFunc{"POST /volumes/prune": answer(`{"VolumesDeleted":["v"]}`)})
	question := "WARNING! This will remove anonymous local volumes not used by at least one container.\nAre you sure you want to continue? [y/N] "
	for in, want := range map[string]string{"y\n": question + "Deleted Volumes:\nv\n\nTotal reclaimed space: 0B\n", "n\n": question, "": question, "yes\n": question} {
		out, errs, code := d.run(in, "volume", "prune")
		require.Equal(t, want, out, in)
		require.Empty(t, errs)
		require.Zero(t, code)
	}
}

// TestArchives: a file appears whole or not at all.
func TestArchives(t *testing.T) {
	d := newDaemon(t, map[string]http.HandlerFunc{"GET /images/get": answer("archive"), "GET /containers/x/export": fail(500, "broken"), "POST /images/load": answer(`{"stream":"Loaded image: x:1\n"}`)})
	file := filepath.Join(t.TempDir(), "a.tar")
	_, errs, code := d.run("", "save", "-o", file, "x")
	require.Zero(t, code, errs)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "archive", string(text))
	_, _, code = d.run("", "export", "-o", file+"2", "x")
	require.Equal(t, 1, code)
	require.NoFileExists(t, file+"2")
	out, _, _ := d.run("archive", "load")
	require.Equal(t, "Loaded image: x:1\n", out)
	require.Equal(t, "archive", d.sent["POST /images/load"])
}

// TestMistakes holds the words and codes for wrong use; they are docker's with our name.
func TestMistakes(t *testing.T) {
	d := newDaemon(t, map[string]http.HandlerFunc{
		"DELETE /containers/a": status(204), "DELETE /containers/c": status(204),
		"POST /containers/a/start": status(204), "POST /containers/b/start": fail(404, "No such container: b"), "POST /containers/c/start": status(304),
	})
	for _, test := range []struct {
		command, out, errs string
		code               int
	}{
		{"nope", "", "slipway: unknown command: slipway nope\n\nRun 'slipway --help' for more information\n", 1},
		{"ps --zz", "", "unknown flag: --zz\n\nUsage:  slipway ps [OPTIONS]\n\nRun 'slipway ps --help' for more information\n", 125},
		{"ps x", "", "slipway: 'slipway ps' accepts no arguments\n\nUsage:  slipway ps [OPTIONS]\n\nRun 'slipway ps --help' for more information\n", 1},
		{"run", "", "slipway: 'slipway run' requires at least 1 argument\n\nUsage:  slipway run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nSee 'slipway run --help' for more information\n", 1},
		{"run --rm --restart always x", "", "slipway: conflicting options: cannot specify both --restart and --rm\n\nRun 'slipway run --help' for more information\n", 125},
		{"run --dns x i", "", "invalid argument \"x\" for \"--dns\" flag: IP address is not correctly formatted: x\n\nUsage:  slipway run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nRun 'slipway run --help' for more information\n", 125},
		{"run -it x", "", "the input device is not a TTY\n", 1},
		{"run -d -a stdout x", "", "conflicting options: cannot specify both --attach and --detach\n", 1},
		{"ps -f bad", "", "invalid argument \"bad\" for \"-f, --filter\" flag: bad format of filter (expected name=value)\n\nUsage:  slipway ps [OPTIONS]\n\nRun 'slipway ps --help' for more information\n", 125},
		{"inspect nosuch", "[]\n", "Error: No such object: nosuch\n", 1},
		{"rm a b c", "a\nc\n", "Error response from daemon: no such thing: DELETE /containers/b\n", 1},
		{"rm -f b", "", "Error response from daemon: no such thing: DELETE /containers/b\n", 0},
		{"start a b c", "a\nc\n", "Error response from daemon: No such container: b\nError: failed to start containers: b\n", 1},
		{"logs nosuch", "", "Error response from daemon: no such thing: GET /containers/nosuch/json\n", 1},
		{"jobs", "", "the daemon at HOST has no jobs: it is not slipway-daemon\n", 1},
		{"-H unix:///nonexistent.sock ps", "", "Cannot connect to the Slipway daemon at unix:///nonexistent.sock. Is the slipway daemon running?\n", 1},
		{"cp a b", "", "must specify at least one container source\n", 1},
		{"container nope", "", "slipway: unknown command: slipway container nope\n\nUsage:  slipway container\n\nRun 'slipway container --help' for more information\n", 1},
	} {
		t.Run(test.command, func(t *testing.T) {
			out, errs, code := d.run("", strings.Fields(test.command)...)
			require.Equal(t, test.out, out)
			require.Equal(t, test.errs, strings.ReplaceAll(errs, d.host, "HOST"))
			require.Equal(t, test.code, code)
		})
	}
}
