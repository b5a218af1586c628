package transfer

import (
	"sync"
	"time"

	"github.com/containerd/containerd/api/types"
	transfertypes "github.com/containerd/containerd/api/types/transfer"

	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"
)

// progress passes on how far a pull is; without a stream it is silent.
type progress struct {
	stream *Stream

	mu   sync.Mutex // guards last
	last map[string]time.Time
}

// often is how seldom a phase's bytes are told again: a fast download would
// otherwise fill the stream with numbers that nobody can see.
const often = 100 * time.Millisecond

// step tells one event of stage 3.
func (p *progress) step(image string, e pull.Event) {
	m := &transfertypes.Progress{Event: string(e.Phase), Name: e.ID, Progress: e.Current, Total: e.Total}
	if e.Digest != "" {
		m.Parents = []string{image}
		m.Desc = &types.Descriptor{Digest: e.Digest.String(), Size: e.Total}
		m.Name = kindOf(e) + "-" + e.Digest.String()
	}
	if e.Current != 0 && e.Current != e.Total && !p.due(m.GetName()) {
		return
	}
	p.send(m)
}

// kindOf gives the prefix that containerd's clients show before a digest.
func kindOf(e pull.Event) string {
	if e.Layer {
		return "layer"
	}
	return "blob"
}

func (p *progress) due(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil {
		p.last = map[string]time.Time{}
	}
	now := time.Now()
	if now.Sub(p.last[name]) < often {
		return false
	}
	p.last[name] = now
	return true
}

// send: when it fails, the client has gone, and nobody wants to know.
func (p *progress) send(m *transfertypes.Progress) {
	if p.stream != nil {
		_ = p.stream.Send(m)
	}
}
