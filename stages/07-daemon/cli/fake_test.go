package cli_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway-engine/slipway/stages/07-daemon/cli"
	"github.com/stretchr/testify/require"
)

// daemon is a fake engine on a unix socket: what it answers is a table, what it was asked is a list.
type daemon struct {
	t       *testing.T
	host    string
	answers map[string]http.HandlerFunc // "GET /containers/json"

	mu    sync.Mutex
	calls []string          // guarded by mu; method, path and query, without the version
	sent  map[string]string // guarded by mu; bodies by "METHOD /path"
}

var versionPrefix = regexp.MustCompile(`^/v1\.\d+`)

func newDaemon(t *testing.T, answers map[string]http.HandlerFunc) *daemon {
	t.Helper()
	dir, err := os.MkdirTemp("", "cli") // a socket's path is short (unix(7): 108 bytes)
	require.NoError(t, err)
	d := &daemon{t: t, host: "unix://" + filepath.Join(dir, "d.sock"), answers: answers, sent: map[string]string{}}
	listener, err := net.Listen("unix", filepath.Join(dir, "d.sock"))
	require.NoError(t, err)
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: d}}
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		require.NoError(t, os.RemoveAll(dir))
	})
	return d
}

func (d *daemon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Api-Version", "1.51")
	w.Header().Set("Content-Type", "application/json")
	if strings.HasSuffix(r.URL.Path, "/_ping") {
		return
	}
	r.URL.Path = versionPrefix.ReplaceAllString(r.URL.Path, "")
	name := r.Method + " " + r.URL.Path
	call := name
	if r.URL.RawQuery != "" {
		call += "?" + r.URL.RawQuery
	}
	var body []byte
	if r.Header.Get("Upgrade") == "" || r.ContentLength > 0 { // closing a unix socket with unread input would lose our output
		body, _ = io.ReadAll(r.Body) // a test server: a broken request fails the test by itself
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	d.mu.Lock()
	d.calls = append(d.calls, call)
	d.sent[name] = string(body)
	d.mu.Unlock()
	answer := d.answers[name]
	if answer == nil {
		fail(404, "no such thing: "+name)(w, r)
		return
	}
	answer(w, r)
}

// run calls the client; it returns its two outputs and the exit code.
func (d *daemon) run(in string, args ...string) (string, string, int) {
	d.t.Helper()
	var out, errs bytes.Buffer
	app := &cli.App{
		Streams: cli.Streams{In: strings.NewReader(in), Out: &out, Err: &errs},
		Getenv:  func(name string) string { return map[string]string{"SLIPWAY_HOST": d.host}[name] },
		Now:     func() time.Time { return time.Unix(1_700_000_000, 0) },
	}
	code := cli.Main(context.Background(), app, args)
	return out.String(), errs.String(), code
}

// answer is 200 with a value.
func answer(value any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if text, ok := value.(string); ok {
			fmt.Fprint(w, text)
			return
		}
		if err := json.NewEncoder(w).Encode(value); err != nil {
			panic(err)
		}
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func fail(code int, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"message":%q}`, message)
	}
}

// hijack upgrades the connection, as attach and exec do, and hands it over.
func hijack(serve func(net.Conn)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		fmt.Fprint(conn, "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
		serve(conn)
		if err := conn.Close(); err != nil {
			panic(err)
		}
	}
}

// frame writes one multiplexed piece: stream, three zeros, length, payload.
func frame(conn io.Writer, stream byte, text string) {
	header := []byte{stream, 0, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(header[4:], uint32(len(text)))
	if _, err := conn.Write(append(header, text...)); err != nil {
		panic(err)
	}
}

func TestMain(m *testing.M) {
	time.Local = time.UTC // golden files show local times
	os.Exit(m.Run())
}
