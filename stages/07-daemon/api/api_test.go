package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/07-daemon/engine"
	"github.com/slipway-engine/slipway/stages/07-daemon/enginetest"
)

var update = flag.Bool("update", false, "write testdata anew")

type client struct {
	t      *testing.T
	server *httptest.Server
	engine *engine.Engine
	world  *enginetest.World
}

func start(t *testing.T) client {
	t.Helper()
	w := enginetest.NewWorld(t)
	e := w.Engine(t)
	s := httptest.NewServer(New(Deps{
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Engine: e, Images: enginetest.Images{},
		About: About{Version: "1.2.3", Snapshotter: "overlayfs"},
	}))
	t.Cleanup(s.Close)
	return client{t, s, e, w}
}

// call returns the status and the body.
func (c client) call(method, path, body string) (int, string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.server.URL+path, strings.NewReader(body))
	require.NoError(c.t, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(c.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	return resp.StatusCode, string(text)
}

func (c client) create(name, body string) string {
	c.t.Helper()
	status, text := c.call("POST", "/v1.50/containers/create?name="+name, body)
	require.Equal(c.t, 201, status, text)
	var out struct {
		ID string `json:"Id"`
	}
	require.NoError(c.t, json.Unmarshal([]byte(text), &out))
	return out.ID
}

func TestPing(t *testing.T) {
	c := start(t)
	for _, method := range []string{"GET", "HEAD"} {
		req, err := http.NewRequestWithContext(t.Context(), method, c.server.URL+"/_ping", nil)
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, map[string]string{"GET": "OK", "HEAD": ""}[method], string(text))
		for name, want := range map[string]string{
			"Api-Version": "1.52", "Ostype": "linux", "Docker-Experimental": "false", "Builder-Version": "1",
			"Swarm": "inactive", "Server": "Docker/1.2.3 (linux)", "Cache-Control": "no-cache, no-store, must-revalidate",
		} {
			require.Equal(t, want, resp.Header.Get(name), name)
		}
	}
}

func TestErrors(t *testing.T) {
	c := start(t)
	c.create("web", `{"Image":"busybox"}`)
	for name, row := range map[string]struct {
		method, path, body string
		status             int
		text               string
	}{
		"too new":            {"GET", "/v1.99/version", "", 400, "client version 1.99 is too new. Maximum supported API version is 1.52"},
		"too old":            {"GET", "/v1.2/version", "", 400, "client version 1.2 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version"},
		"no such route":      {"GET", "/v1.50/wonders", "", 404, "page not found"},
		"wrong method":       {"PATCH", "/info", "", 404, "page not found"},
		"no container":       {"GET", "/containers/nix/json", "", 404, "No such container: nix"},
		"no image":           {"POST", "/containers/create", `{"Image":"nix"}`, 404, "No such image: nix:latest"},
		"no body":            {"POST", "/containers/create", "", 400, "invalid JSON: got EOF while reading request body"},
		"no JSON":            {"POST", "/containers/create", "{", 400, "invalid JSON: unexpected end of JSON input"},
		"no image to delete": {"DELETE", "/images/nix", "", 404, "No such image: nix:latest"},
		"no volume":          {"GET", "/volumes/nix", "", 404, "get nix: no such volume"},
		"no network":         {"GET", "/networks/nix", "", 404, "network nix not found"},
		"no plugin":          {"GET", "/plugins/nix/json", "", 404, `plugin "nix" not found`},
		"no swarm":           {"GET", "/services", "", 503, `This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.`},
		"not running":        {"POST", "/containers/web/kill", "", 409, "not running"},
		"unknown filter":     {"GET", `/containers/json?filters={"color":["red"]}`, "", 400, "invalid filter 'color'"},
		"unknown status":     {"GET", `/containers/json?filters={"status":["red"]}`, "", 400, "invalid value for state (red)"},
		"no stream":          {"GET", "/containers/web/logs", "", 400, "Bad parameters: you must choose at least one stream"},
		"pull of nothing":    {"POST", "/images/create?fromImage=nix", "", 404, "manifest for nix:latest not found: manifest unknown: manifest unknown"},
		"bad reference":      {"POST", "/images/create?fromImage=UPPER", "", 400, "invalid reference format"},
		"bridge stays":       {"DELETE", "/networks/bridge", "", 403, "bridge is a pre-defined network and cannot be removed"},
		"bad condition":      {"POST", "/containers/web/wait?condition=never", "", 400, "invalid condition"},
		"bad signal":         {"POST", "/containers/web/kill?signal=WHAT", "", 400, "invalid signal: WHAT"},
		"build":              {"POST", "/build", "", 501, "docker build is not served"},
	} {
		t.Run(name, func(t *testing.T) {
			status, text := c.call(row.method, row.path, row.body)
			require.Equal(t, row.status, status, text)
			var message struct{ Message string }
			require.NoError(t, json.Unmarshal([]byte(text), &message), text)
			require.Contains(t, message.Message, row.text)
		})
	}
}

// What the CLI 28 sends for `docker create`: every field, empty or not. Absent and empty must mean the same.
const fullBody = `{"Hostname":"","Domainname":"","User":"","AttachStdin":false,"AttachStdout":true,"AttachStderr":true,
"Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":null,"Cmd":["sleep","1"],"Image":"busybox","Volumes":{},"WorkingDir":"",
"Entrypoint":null,"OnBuild":null,"Labels":{"a":"b"},"HostConfig":{"Binds":null,"ContainerIDFile":"","LogConfig":{"Type":"","Config":{}},
"NetworkMode":"default","PortBindings":{"80/tcp":[{"HostIp":"","HostPort":"8080"}]},"RestartPolicy":{"Name":"no","MaximumRetryCount":0},
"AutoRemove":false,"VolumeDriver":"","VolumesFrom":null,"ConsoleSize":[0,0],"CapAdd":null,"CapDrop":null,"CgroupnsMode":"",
"Dns":[],"DnsOptions":[],"DnsSearch":[],"ExtraHosts":null,"GroupAdd":null,"IpcMode":"","Cgroup":"","Links":null,"OomScoreAdj":0,
"PidMode":"","Privileged":false,"PublishAllPorts":false,"ReadonlyRootfs":false,"SecurityOpt":null,"UTSMode":"","UsernsMode":"",
"ShmSize":0,"Isolation":"","CpuShares":0,"Memory":0,"NanoCpus":0,"CgroupParent":"","BlkioWeight":0,"BlkioWeightDevice":[],
"BlkioDeviceReadBps":[],"BlkioDeviceWriteBps":[],"BlkioDeviceReadIOps":[],"BlkioDeviceWriteIOps":[],"CpuPeriod":0,"CpuQuota":0,
"CpuRealtimePeriod":0,"CpuRealtimeRuntime":0,"CpusetCpus":"","CpusetMems":"","Devices":[],"DeviceCgroupRules":null,
"DeviceRequests":null,"MemoryReservation":0,"MemorySwap":0,"MemorySwappiness":-1,"OomKillDisable":false,"PidsLimit":0,
"Ulimits":[],"CpuCount":0,"CpuPercent":0,"IOMaximumIOps":0,"IOMaximumBandwidth":0,"MaskedPaths":null,"ReadonlyPaths":null},
"NetworkingConfig":{"EndpointsConfig":{"default":{"IPAMConfig":null,"Links":null,"Aliases":null,"MacAddress":"","DriverOpts":null,
"GwPriority":0,"NetworkID":"","EndpointID":"","Gateway":"","IPAddress":"","IPPrefixLen":0,"IPv6Gateway":"","GlobalIPv6Address":"",
"GlobalIPv6PrefixLen":0,"DNSNames":null}}}}`

// The shapes that clients parse, in an old version and in the newest.
func TestGoldenAnswers(t *testing.T) {
	c := start(t)
	id := c.create("web", fullBody)
	status, text := c.call("POST", "/v1.50/containers/web/start", "")
	require.Equal(t, 204, status, text)
	for name, path := range map[string]string{
		"inspect-1.41":       "/v1.41/containers/web/json",
		"inspect-1.52":       "/v1.52/containers/web/json",
		"list-1.50":          "/v1.50/containers/json?size=1",
		"images-1.41":        "/v1.41/images/json",
		"image-inspect-1.41": "/v1.41/images/busybox/json",
		"image-inspect-1.52": "/v1.52/images/busybox:latest/json",
		"networks-1.50":      "/v1.50/networks",
	} {
		t.Run(name, func(t *testing.T) {
			status, text := c.call("GET", path, "")
			require.Equal(t, 200, status, text)
			var indented bytes.Buffer
			require.NoError(t, json.Indent(&indented, []byte(text), "", "  "))
			got := strings.ReplaceAll(indented.String(), id, "ID")
			got = strings.ReplaceAll(strings.ReplaceAll(got, id[:12], "ID12"), c.world.Dir, "DIR")
			for _, vague := range []string{
				`"(Created|StartedAt)": "?20[^,\n]+`, `"Created": \d+`, `"Status": "Up [^"]+"`,
			} {
				got = regexp.MustCompile(vague).ReplaceAllStringFunc(got, func(m string) string {
					return m[:strings.Index(m, ":")] + `: "…"`
				})
			}
			path := filepath.Join("testdata", name+".json")
			if *update {
				require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, string(want), got)
		})
	}
}

// The header of a wait must arrive before the container is started, or `docker run` would wait for ever.
func TestWaitSendsItsHeaderFirst(t *testing.T) {
	c := start(t)
	id := c.create("web", `{"Image":"busybox"}`)
	req, err := http.NewRequestWithContext(t.Context(), "POST", c.server.URL+"/containers/web/wait?condition=next-exit", nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, 200, resp.StatusCode)
	status, _ := c.call("POST", "/containers/web/start", "")
	require.Equal(t, 204, status)
	status, _ = c.call("POST", "/containers/web/start", "")
	require.Equal(t, 304, status)
	c.world.Manager.End(id, 3)
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, `{"Error":null,"StatusCode":3}`, strings.TrimSpace(string(text)))
}

// Attach takes the connection over: the exact head, then frames.
func TestAttachOnTheWire(t *testing.T) {
	c := start(t)
	id := c.create("web", `{"Image":"busybox","AttachStdout":true}`)
	for name, row := range map[string]struct{ path, header, head string }{
		"upgrade":        {"/v1.50", "Connection: Upgrade\r\nUpgrade: tcp\r\n", "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"},
		"before 1.42":    {"/v1.41", "Connection: Upgrade\r\nUpgrade: tcp\r\n", "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"},
		"without asking": {"/v1.50", "", "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", c.server.Listener.Addr().String())
			require.NoError(t, err)
			defer conn.Close()
			_, err = io.WriteString(conn, "POST "+row.path+"/containers/web/attach?stream=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: x\r\n"+row.header+"Content-Length: 0\r\n\r\n")
			require.NoError(t, err)
			in := bufio.NewReader(conn)
			head := make([]byte, len(row.head))
			_, err = io.ReadFull(in, head)
			require.NoError(t, err)
			require.Equal(t, row.head, string(head))

			pipe, err := os.OpenFile(filepath.Join(c.world.Dir, "run", "io", id, "stderr"), os.O_WRONLY, 0)
			require.NoError(t, err)
			_, err = pipe.WriteString("oops\n")
			require.NoError(t, err)
			require.NoError(t, pipe.Close())
			frame := make([]byte, 13)
			_, err = io.ReadFull(in, frame)
			require.NoError(t, err)
			require.Equal(t, "\x02\x00\x00\x00\x00\x00\x00\x05oops\n", string(frame))
		})
	}
}

func TestLogsOverHTTP(t *testing.T) {
	c := start(t)
	id := c.create("web", `{"Image":"busybox"}`)
	log := filepath.Join(c.world.Dir, "containers", id, id+"-json.log")
	require.NoError(t, os.WriteFile(log, []byte(`{"log":"one\n","stream":"stdout","time":"2026-01-01T00:00:00.5Z"}
{"log":"two\n","stream":"stderr","time":"2026-01-01T00:00:01Z"}
`), 0o600))
	status, text := c.call("GET", "/containers/web/logs?stdout=1&stderr=1&timestamps=1&tail=all", "")
	require.Equal(t, 200, status)
	require.Equal(t, "\x01\x00\x00\x00\x00\x00\x00\x23"+"2026-01-01T00:00:00.500000000Z one\n"+
		"\x02\x00\x00\x00\x00\x00\x00\x23"+"2026-01-01T00:00:01.000000000Z two\n", text)
	_, text = c.call("GET", "/containers/web/logs?stdout=1&stderr=1&since=1767225601", "")
	require.Equal(t, "\x02\x00\x00\x00\x00\x00\x00\x04two\n", text)
}

func TestPullProgress(t *testing.T) {
	c := start(t)
	status, text := c.call("POST", "/images/create?fromImage=busybox&tag=latest", "")
	require.Equal(t, 200, status)
	require.Equal(t, `{"status":"Downloading","progressDetail":{"current":1,"total":2},"id":"abc"}`+"\r\n", text)
	status, text = c.call("POST", "/images/create?fromImage=broken", "")
	require.Equal(t, 200, status, "the answer had begun")
	require.Contains(t, text, `"errorDetail":{"message":"the layer has another digest"},"error":"the layer has another digest"`)
}

func TestEventsSinceUntil(t *testing.T) {
	c := start(t)
	c.create("web", `{"Image":"busybox","Labels":{"tier":"front"}}`)
	c.create("db", `{"Image":"busybox"}`)
	for name, row := range map[string]struct {
		query string
		want  []string
	}{
		"all":       {"", []string{"web", "db"}},
		"by name":   {`&filters={"container":["db"]}`, []string{"db"}},
		"by label":  {`&filters={"label":{"tier=front":true}}`, []string{"web"}},
		"by action": {`&filters={"event":["die"]}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			status, text := c.call("GET", "/v1.50/events?since=1&until="+time.Now().Add(time.Millisecond).Format(time.RFC3339Nano)+row.query, "")
			require.Equal(t, 200, status)
			var got []string
			for line := range strings.Lines(text) {
				var m struct {
					Status, ID, From string
					Actor            struct{ Attributes map[string]string }
				}
				require.NoError(t, json.Unmarshal([]byte(line), &m))
				require.Equal(t, "create", m.Status, "clients of API 1.50 read the old fields")
				require.Equal(t, "busybox", m.From)
				got = append(got, m.Actor.Attributes["name"])
			}
			require.Equal(t, row.want, got)
		})
	}
}

func TestRoutes(t *testing.T) {
	routes := []route{{"GET", "/images/{name...}/json", nil}, {"GET", "/images/json", nil}, {"DELETE", "/images/{name...}", nil}}
	for path, want := range map[string]string{
		"/images/busybox/json": "busybox", "/images/docker.io/library/x:1/json": "docker.io/library/x:1", "/images/json/json": "json",
	} {
		_, values := find(routes, "GET", path)
		require.Equal(t, want, values["name"], path)
	}
	r, _ := find(routes, "GET", "/images/json")
	require.Equal(t, "/images/json", r.pattern)
	r, _ = find(routes, "GET", "/images")
	require.Nil(t, r)
}

func FuzzRoutes(f *testing.F) {
	f.Add("/v1.50/images/a/b/json")
	f.Fuzz(func(t *testing.T, path string) {
		s := &Server{}
		_, rest, err := splitVersion(path)
		if err == nil {
			find(s.table(), "GET", rest)
		}
	})
}

// TestFilterByReference: of an image with several names only those are listed that were asked for.
func TestFilterByReference(t *testing.T) {
	names := []string{"127.0.0.1:5000/bb:1", "bb:1", "my/x:1", "127.0.0.1:5000/bb@sha256:55", "my/x@sha256:55"}
	for pattern, want := range map[string][]string{
		"my/x":              {"my/x:1", "my/x@sha256:55"},
		"bb:1":              {"bb:1"},
		"127.0.0.1:5000/bb": {"127.0.0.1:5000/bb:1", "127.0.0.1:5000/bb@sha256:55"},
		"nix":               {},
	} {
		require.Equal(t, want, asked([]string{pattern}, names), pattern)
	}
}
