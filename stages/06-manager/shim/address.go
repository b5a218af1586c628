package shim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
)

// Params say where a shim listens and what it speaks: the JSON that `start`
// prints since containerd 1.7.
type Params struct {
	Version  int    `json:"version"`
	Address  string `json:"address"`
	Protocol string `json:"protocol"`
	Stays    bool   `json:"stays,omitempty"` // ours: the process has not exited, it is the server
}

// bootstrapFile keeps Params in the bundle, under containerd's name for it.
const bootstrapFile = "bootstrap.json"

// ParseParams reads what `start` printed: JSON, or the bare address of a version 2 shim.
func ParseParams(out []byte) (Params, error) {
	out = bytes.TrimSpace(out)
	p := Params{Version: 2, Address: string(out), Protocol: "ttrpc"}
	if bytes.HasPrefix(out, []byte("{")) {
		p = Params{}
		if err := json.Unmarshal(out, &p); err != nil {
			return p, fmt.Errorf("shim's address %.200q: %w", out, err)
		}
	}
	if p.Protocol == "" {
		p.Protocol = "ttrpc"
	}
	return p, p.validate()
}

func (p Params) validate() error {
	switch {
	case p.Version != 2 && p.Version != 3:
		return fault.New(fault.Unimplemented, "shim speaks version %d of the task service, we speak 2 and 3", p.Version)
	case p.Protocol != "ttrpc":
		return fault.New(fault.Unimplemented, "shim speaks %s, we speak ttrpc", p.Protocol)
	}
	_, err := p.Socket()
	return err
}

// Socket is the path of the shim's socket. An abstract one is refused: any
// container on the host's network could reach it (CVE-2020-15257).
func (p Params) Socket() (string, error) {
	path := strings.TrimPrefix(p.Address, "unix://")
	if !filepath.IsAbs(path) || strings.Contains(path, "\x00") {
		return "", fault.New(fault.InvalidArgument, "shim's address %q is not the path of a socket", p.Address)
	}
	return path, nil
}

// save writes Params so that they are whole or absent after a crash.
func (p Params) save(b Bundle) error {
	p.Stays = false // true of `start` only
	raw, err := json.Marshal(p)
	if err != nil {
		return err
	}
	tmp := b.Path("." + bootstrapFile)
	if err := os.WriteFile(tmp, raw, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, b.Path(bootstrapFile))
}

// LoadParams finds the shim of a bundle again: from our own record, or from the
// address file that the shim writes, if we were killed before we could.
func LoadParams(b Bundle) (Params, error) {
	for _, name := range []string{bootstrapFile, "address"} {
		raw, err := os.ReadFile(b.Path(name))
		if err == nil {
			return ParseParams(raw)
		}
	}
	return Params{}, fmt.Errorf("shim of %s: its address was never written: %w", b.ID, fs.ErrNotExist)
}
