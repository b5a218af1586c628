package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/slipway-engine/slipway/stages/07-daemon/api"
	"github.com/slipway-engine/slipway/stages/07-daemon/engine"
	"github.com/slipway-engine/slipway/stages/07-daemon/events"
	"github.com/slipway-engine/slipway/stages/07-daemon/images"
	"github.com/slipway-engine/slipway/stages/07-daemon/machine"
	"github.com/slipway-engine/slipway/stages/07-daemon/managed"
	"github.com/slipway-engine/slipway/stages/07-daemon/manager"
	"github.com/slipway-engine/slipway/stages/07-daemon/network"
	"github.com/slipway-engine/slipway/stages/07-daemon/records"
	"github.com/slipway-engine/slipway/stages/07-daemon/toolbox"
	"github.com/slipway-engine/slipway/stages/07-daemon/volumes"
)

const (
	helloPatience    = 30 * time.Second
	shutdownPatience = 3 * time.Second
)

// serve is the architecture of the program: what is built from what, in order, and taken down in reverse.
func serve(ctx context.Context, o *options, logTo io.Writer) (err error) {
	log := slog.New(slog.NewTextHandler(logTo, &slog.HandlerOptions{Level: o.level()}))
	if o.DataRoot, err = filepath.Abs(o.DataRoot); err != nil {
		return err
	}
	if o.ExecRoot, err = filepath.Abs(o.ExecRoot); err != nil {
		return err
	}
	for _, dir := range []string{o.DataRoot, o.ExecRoot} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if o.Pidfile == "" {
		o.Pidfile = filepath.Join(o.ExecRoot, "daemon.pid")
	}
	lock, err := lockPidfile(o.Pidfile)
	if err != nil {
		return err
	}
	defer lock.Close()
	runtimes, err := o.runtimes()
	if err != nil {
		return err
	}

	// The manager: one that is given, or one of our own.
	address, bundles := o.Containerd, ""
	var own sync.WaitGroup
	defer own.Wait()
	ownCtx, stopOwn := context.WithCancel(context.WithoutCancel(ctx))
	defer stopOwn()
	if address == "" {
		m := managed.Config{
			Program: o.Manager, Root: filepath.Join(o.DataRoot, "manager"), State: filepath.Join(o.ExecRoot, "manager"),
			LogLevel: strings.ToLower(o.level().String()), Log: log,
		}
		address, bundles = m.Address(), filepath.Join(m.State, "io.containerd.runtime.v2.task", manager.Namespace)
		own.Go(func() {
			if err := managed.Run(ownCtx, m); err != nil {
				log.Warn("stop the manager", "err", err)
			}
		})
	}
	client, err := manager.Dial(address, o.Snapshotter)
	if err != nil {
		return err
	}
	defer client.Close()
	hello, cancel := context.WithTimeout(ctx, helloPatience)
	defer cancel()
	peer, err := client.Hello(hello)
	if err != nil {
		return err
	}

	// What outlives us.
	store, err := records.Open[engine.Record](filepath.Join(o.DataRoot, "containers"))
	if err != nil {
		return err
	}
	vols, damaged, err := volumes.Open(filepath.Join(o.DataRoot, "volumes"))
	if err != nil {
		return err
	}
	for _, d := range damaged {
		log.Error("volume left out", "err", d)
	}
	id, err := engineID(filepath.Join(o.DataRoot, "engine-id"))
	if err != nil {
		return err
	}

	bridge, err := o.network(filepath.Join(o.ExecRoot, "netns"))
	if err != nil {
		return err
	}
	driver, err := network.New(ctx, bridge)
	if err != nil {
		return fmt.Errorf("network: %w", err)
	}
	defer driver.Close()
	if lack := driver.Lack(); lack != nil {
		log.Warn("network", "err", lack)
	}
	imageStore := images.New(client)
	if err := importToolbox(ctx, imageStore); err != nil {
		log.Warn("the embedded image is not there", "err", err)
	}

	eng := engine.New(engine.Deps{
		Log: log, Tasks: client, Snapshots: client, Watcher: client, Images: imageStore, Network: driver, Volumes: vols,
		Records: store, Events: events.New(), Host: machine.Host(), Hostname: machine.Hostname(), Runtimes: runtimes,
		DefaultRuntime: o.DefaultRuntime, InitPath: o.InitPath, ExecRoot: o.ExecRoot, ResolvConf: resolvConf(),
		DNS: o.DNS, ClassicStdio: o.ClassicStdio, OOMKilled: oomReader(bundles),
	})
	defer eng.Close()
	if err := eng.Restore(ctx); err != nil {
		return err
	}

	server := &http.Server{
		Handler: api.New(api.Deps{
			Log: log, Engine: eng, Images: imageStore, Bridge: driver.Config(),
			About: api.About{
				Version: version, ManagerVersion: peer.GetVersion(), ID: id, DataRoot: o.DataRoot, Hostname: machine.Hostname(),
				Snapshotter: o.Snapshotter, CgroupV2: machine.CgroupV2(), LiveRestore: o.LiveRestore, Debug: o.Debug,
			},
		}),
		ReadHeaderTimeout: 30 * time.Second,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	listeners, err := listen(o.Hosts, o.Group)
	if err != nil {
		return err
	}
	err = serveAll(ctx, server, listeners, log)
	if !o.LiveRestore {
		eng.StopAll(context.WithoutCancel(ctx))
	}
	return err
}

// serveAll serves until ctx ends or a listener breaks.
func serveAll(ctx context.Context, server *http.Server, listeners []net.Listener, log *slog.Logger) error {
	broken := make(chan error, len(listeners))
	for _, l := range listeners {
		log.Info("listening", "on", l.Addr().String())
		go func() { broken <- server.Serve(l) }()
	}
	var err error
	select {
	case <-ctx.Done():
		log.Info("stopping; containers go on")
	case err = <-broken:
	}
	down, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownPatience)
	defer cancel()
	if serr := server.Shutdown(down); serr != nil && !errors.Is(serr, context.DeadlineExceeded) {
		err = errors.Join(err, serr)
	}
	return errors.Join(err, ignoreClosed(server.Close()))
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// network translates the flags.
func (o *options) network(netns string) (network.Config, error) {
	c := network.Config{Bridge: o.Bridge, MTU: o.MTU, NetnsDir: netns, IPForward: true}
	if o.UserlandProxy && !o.ClassicStdio {
		c.ProxyPath = o.ProxyPath
	}
	if o.BIP != "" {
		p, err := netip.ParsePrefix(o.BIP)
		if err != nil {
			return c, fmt.Errorf("--bip: %w", err)
		}
		c.Subnet, c.Gateway = p.Masked(), p.Addr()
	}
	return c, nil
}

// engineID is made once for a data root.
func engineID(path string) (string, error) {
	if data, err := os.ReadFile(path); err == nil && len(data) > 0 {
		return strings.TrimSpace(string(data)), nil
	}
	id := strings.ToLower(rand.Text())
	return id, os.WriteFile(path, []byte(id+"\n"), 0o600)
}

// importToolbox stores the embedded image unless this very one is there: an upgraded engine brings its own. So an engine is useful without any registry.
func importToolbox(ctx context.Context, s *images.Store) error {
	img, err := toolbox.Default()
	if err != nil {
		return err
	}
	if there, err := s.Has(ctx, img.Name, img.Descriptor.Digest); there || err != nil {
		return err
	}
	var blobs []images.Blob
	for _, b := range img.Blobs {
		blobs = append(blobs, images.Blob{Descriptor: b.Descriptor, Open: func() io.Reader { return b.Open() }})
	}
	return s.Import(ctx, img.Name, img.Descriptor, blobs)
}

func resolvConf() string {
	data, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return "/etc/resolv.conf"
	}
	return network.ResolvConfPath(data)
}

// oomReader reads the exit records of our own shims (docs/boundaries.md); of a foreign manager's we know nothing.
func oomReader(bundles string) func(string) bool {
	if bundles == "" {
		return nil
	}
	return func(id string) bool {
		var exit struct {
			OOMKilled bool `json:"oom_killed"`
		}
		data, err := os.ReadFile(filepath.Join(bundles, id, "exit.json"))
		return err == nil && json.Unmarshal(data, &exit) == nil && exit.OOMKilled
	}
}
