package cli_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/require"
)

// engine answers a whole run of container c; start releases the exit.
func engine(exit int, serve func(net.Conn)) map[string]http.HandlerFunc {
	started := make(chan struct{})
	return map[string]http.HandlerFunc{
		"POST /containers/create":   answer(`{"Id":"c","Warnings":["be careful"]}`),
		"POST /containers/c/attach": hijack(func(conn net.Conn) { <-started; serve(conn) }),
		"POST /containers/c/start": func(w http.ResponseWriter, _ *http.Request) {
			close(started)
			w.WriteHeader(204)
		},
		"POST /containers/c/wait": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			w.(http.Flusher).Flush() // the client goes on when it has the header
			<-started
			answer(container.WaitResponse{StatusCode: int64(exit)})(w, r)
		},
	}
}

func TestRunInTheForeground(t *testing.T) {
	d := newDaemon(t, engine(7, func(conn net.Conn) {
		frame(conn, 1, "to out\n")
		frame(conn, 2, "to err\n")
		frame(conn, 1, "more\n")
	}))
	out, errs, code := d.run("", "run", "--rm", "-e", "A=b", "image", "cmd", "-x")
	require.Equal(t, "to out\nmore\n", out)
	require.Equal(t, "WARNING: be careful\nto err\n", errs)
	require.Equal(t, 7, code, "the client's code is the container's")
	require.Equal(t, []string{
		"POST /containers/create",
		"POST /containers/c/attach?stderr=1&stdout=1&stream=1",
		"POST /containers/c/wait?condition=removed",
		"POST /containers/c/start",
	}, d.calls, "attach and wait come before start, or output and exit could be missed")
	var body container.CreateRequest
	require.NoError(t, json.Unmarshal([]byte(d.sent["POST /containers/create"]), &body))
	require.Equal(t, []string{"cmd", "-x"}, body.Cmd)
	require.Equal(t, []string{"A=b"}, body.Env)
	require.True(t, body.HostConfig.AutoRemove)
}

func TestRunPassesInputAndItsEnd(t *testing.T) {
	d := newDaemon(t, engine(0, func(conn net.Conn) {
		text, err := io.ReadAll(conn) // ends only when the client closes its half
		if err != nil {
			panic(err)
		}
		frame(conn, 1, strings.ToUpper(string(text)))
	}))
	out, _, code := d.run("hello", "run", "-i", "image")
	require.Equal(t, "HELLO", out)
	require.Zero(t, code)
}

func TestRunDetached(t *testing.T) {
	d := newDaemon(t, engine(0, nil))
	file := filepath.Join(t.TempDir(), "cid")
	out, _, code := d.run("", "run", "-d", "--cidfile", file, "image")
	require.Equal(t, "c\n", out)
	require.Zero(t, code)
	id, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "c", string(id))
	_, errs, code := d.run("", "run", "-d", "--cidfile", file, "image")
	require.Equal(t, 125, code)
	require.Contains(t, errs, "container ID file found")
}

func TestRunPullsWhatIsMissing(t *testing.T) {
	answers := engine(0, func(net.Conn) {})
	created := 0
	answers["POST /containers/create"] = func(w http.ResponseWriter, r *http.Request) {
		created++
		if created == 1 {
			fail(404, "No such image: alpine:latest")(w, r)
			return
		}
		answer(`{"Id":"c"}`)(w, r)
	}
	answers["POST /images/create"] = answer(`{"status":"Pulling from library/alpine","id":"latest"}
{"status":"Pulling fs layer","progressDetail":{},"id":"aa"}
{"status":"Downloading","progressDetail":{"current":1,"total":2},"id":"aa"}
{"status":"Pull complete","progressDetail":{},"id":"aa"}
{"status":"Status: Downloaded newer image for alpine:latest"}
`)
	d := newDaemon(t, answers)
	_, errs, code := d.run("", "run", "alpine")
	require.Zero(t, code)
	require.Equal(t, `Unable to find image 'alpine:latest' locally
latest: Pulling from library/alpine
aa: Pulling fs layer
aa: Pull complete
Status: Downloaded newer image for alpine:latest
`, errs)
	require.Equal(t, "POST /images/create?fromImage=docker.io%2Flibrary%2Falpine&tag=latest", d.calls[1])
}

func TestRunNeverPulls(t *testing.T) {
	d := newDaemon(t, map[string]http.HandlerFunc{"POST /containers/create": fail(404, "No such image: x:latest")})
	_, errs, code := d.run("", "run", "--pull", "never", "x")
	require.Equal(t, 125, code)
	require.Equal(t, "slipway: Error response from daemon: No such image: x:latest\n\nRun 'slipway run --help' for more information\n", errs)
	require.Len(t, d.calls, 1)
}

func TestRunExitCodesOfAFailedStart(t *testing.T) {
	for message, want := range map[string]int{
		`exec: "nosuch": executable file not found in $PATH`: 127,
		"exec /x: no such file or directory":                 127,
		"exec /etc: permission denied":                       126,
		"exec /etc: is a directory":                          126,
		"driver failed programming external connectivity":    125,
	} {
		answers := engine(0, func(net.Conn) {})
		answers["POST /containers/c/start"] = fail(400, message)
		answers["POST /containers/c/attach"] = hijack(func(conn net.Conn) {
			_, _ = io.ReadAll(conn) // until the client gives up
		})
		answers["POST /containers/c/wait"] = func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
		d := newDaemon(t, answers)
		_, errs, code := d.run("", "run", "image")
		require.Equal(t, want, code, message)
		require.Contains(t, errs, "slipway: Error response from daemon: "+message)
	}
}

func TestExec(t *testing.T) {
	d := newDaemon(t, map[string]http.HandlerFunc{
		"GET /containers/c/json":  answer(`{"Id":"c"}`),
		"POST /containers/c/exec": answer(`{"Id":"e"}`),
		"POST /exec/e/start":      hijack(func(conn net.Conn) { frame(conn, 1, "out\n") }),
		"GET /exec/e/json":        answer(`{"ID":"e","ExitCode":3}`),
	})
	out, _, code := d.run("", "exec", "-w", "/tmp", "-u", "1", "c", "ls", "-l")
	require.Equal(t, "out\n", out)
	require.Equal(t, 3, code)
	var body container.ExecCreateRequest
	require.NoError(t, json.Unmarshal([]byte(d.sent["POST /containers/c/exec"]), &body))
	require.Equal(t, container.ExecCreateRequest{User: "1", WorkingDir: "/tmp", Cmd: []string{"ls", "-l"}, AttachStdout: true, AttachStderr: true}, body)
}

func TestPullFails(t *testing.T) {
	d := newDaemon(t, map[string]http.HandlerFunc{"POST /images/create": answer(`{"status":"Pulling from x","id":"1"}
{"errorDetail":{"message":"toomanyrequests: slow down"},"error":"toomanyrequests: slow down"}
`)})
	out, errs, code := d.run("", "pull", "x:1")
	require.Equal(t, "1: Pulling from x\n", out)
	require.Equal(t, "toomanyrequests: slow down\n", errs)
	require.Equal(t, 1, code)
}

func TestEvents(t *testing.T) {
	d := newDaemon(t, map[string]http.HandlerFunc{"GET /events": answer(`{"Type":"container","Action":"start","Actor":{"ID":"c","Attributes":{"name":"web","image":"x"}},"time":1700000000,"timeNano":1700000000000000001}
`)})
	out, _, code := d.run("", "events", "--since", "1", "--until", "2", "--format", "{{.Type}} {{.Actor.ID}}")
	require.Zero(t, code)
	require.Equal(t, "container c\n", out)
	out, _, _ = d.run("", "events")
	require.Regexp(t, `^2023-11-1.T..:..:..\.000000001\S+ container start c \(image=x, name=web\)\n$`, out)
}

// TestStatsFollows reads a stream until the container is gone.
func TestStatsFollows(t *testing.T) {
	sample := `{"id":"c0ffee","name":"/web","memory_stats":{"usage":1048576,"limit":2097152},"pids_stats":{"current":1}}`
	d := newDaemon(t, map[string]http.HandlerFunc{"GET /containers/web/stats": answer(sample + sample)})
	out, errs, code := d.run("", "stats", "--format", "{{.Name}} {{.MemPerc}}", "web")
	require.Empty(t, errs)
	require.Zero(t, code)
	require.Equal(t, "\x1b[Hweb 50.00%\x1b[K\n\x1b[J", out)
	_, errs, code = d.run("", "stats", "nosuch")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "Error response from daemon")
}
