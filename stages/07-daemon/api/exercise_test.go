package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
)

// TestWait is the test of daemon.api. It does what `docker run` does: POST wait, and only after its header POST start.
func TestWait(t *testing.T) {
	c := start(t)
	id := c.create("web", `{"Image":"busybox"}`)
	d := teach.Diagnosis{
		Exercise: "daemon.api", Title: "docker run learns the exit code of a container it has not started yet",
		Did:  "POST /containers/web/wait?condition=next-exit on a container that is created, and waited 2 s for the header of the answer",
		Read: "docs/07-daemon.md#wait",
		Try:  "curl -iN --unix-socket SOCKET -X POST 'http://x/containers/NAME/wait?condition=next-exit'",
	}
	answer := make(chan *http.Response, 1)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel) // before the server closes, which waits for its handlers
	req, err := http.NewRequestWithContext(ctx, "POST", c.server.URL+"/containers/web/wait?condition=next-exit", nil)
	require.NoError(t, err)
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			answer <- resp
		}
	}()
	var resp *http.Response
	select {
	case resp = <-answer:
	case <-time.After(2 * time.Second):
		d.Code = "DAEMON-API-1"
		d.Saw = "nothing: no status line, no header"
		d.Want = "HTTP/1.1 200 OK at once; the body comes when the container ends"
		d.Means = "net/http keeps what a handler writes in a buffer until it is full or the handler returns. The client starts the container only after it has seen the header, your handler returns only when the container has ended: both wait for ever."
		teach.Fail(t, d)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		if strings.Contains(string(text), "exercise daemon.api") {
			t.Fatalf("\nNOT STARTED    daemon.api   this is where you begin: replace the stub")
		}
		t.Fatalf("status %d: %s", resp.StatusCode, text)
	}
	bodyIs(t, c, id, resp, d)
}

// bodyIs starts the container, lets it end with 3, and looks at when and what the body says.
func bodyIs(t *testing.T, c client, id string, resp *http.Response, d teach.Diagnosis) {
	t.Helper()
	text := make(chan string, 1)
	go func() {
		all, _ := io.ReadAll(resp.Body)
		text <- string(all)
	}()
	if err := c.engine.Start(t.Context(), "web"); fault.Status(err) != 500 {
		require.NoError(t, err)
	}
	d.Did = "the same, then started the container; its process ends with 3 after 0.1 s"
	select {
	case early := <-text:
		d.Code = "DAEMON-API-2"
		d.Saw = fmt.Sprintf("the whole answer, while the container runs: %s", early)
		d.Want = `{"Error":null,"StatusCode":3} when it has ended`
		d.Means = "the answer was finished before wait() had returned. What is asked for is the next exit, and that has not happened yet."
		teach.Fail(t, d)
	case <-time.After(100 * time.Millisecond):
	}
	c.world.Manager.End(id, 3)
	var got map[string]any
	body := <-text
	err := json.Unmarshal([]byte(body), &got)
	_, hasError := got["Error"]
	if err != nil || got["StatusCode"] != 3.0 || !hasError {
		d.Code = "DAEMON-API-3"
		d.Saw = fmt.Sprintf("the body %q", strings.TrimSpace(body))
		d.Want = `{"Error":null,"StatusCode":3}`
		d.Means = "the client decodes these two names. The exit code is what wait() returns, and the field Error is there even when there was none."
		teach.Fail(t, d)
	}
}
