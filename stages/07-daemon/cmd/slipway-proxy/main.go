// Slipway-proxy carries a container's published ports: see package proxy. One process serves all ports of a container.
//
// It takes docker-proxy's flags too, for one port, so that dockerd --userland-proxy-path accepts it. That is why its flags
// are package flag's, for which -proto and --proto are the same.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"strconv"

	"github.com/slipway-engine/slipway/stages/07-daemon/proxy"
	"golang.org/x/sys/unix"
)

func main() {
	pipe := proxy.ReadyPipe() // first of all: later descriptor 3 may be ours
	o, err := newOptions(os.Args[1:], os.Stdout)
	if errors.Is(err, flag.ErrHelp) || o.version {
		return
	}
	if err == nil {
		err = run(o, pipe)
	} else {
		err = errors.Join(err, proxy.Report(pipe, err))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "slipway-proxy:", err)
		os.Exit(1)
	}
}

// version is what --version tells.
const version = "slipway-proxy version 0.1.0"

type options struct {
	publish    []proxy.Spec
	listenFD   bool
	withParent bool
	version    bool
}

func newOptions(args []string, out io.Writer) (options, error) {
	var o options
	var proto, hostIP, hostPort, containerIP, containerPort string
	fs := flag.NewFlagSet("slipway-proxy", flag.ContinueOnError)
	fs.SetOutput(out)
	fs.Func("publish", "`port` tcp:HOSTIP:HOSTPORT:CONTAINERIP:CONTAINERPORT; may be repeated", func(s string) error {
		spec, err := proxy.ParseSpec(s)
		o.publish = append(o.publish, spec)
		return err
	})
	fs.StringVar(&proto, "proto", "tcp", "`protocol` of one port, as docker-proxy takes it: tcp or udp")
	fs.StringVar(&hostIP, "host-ip", "", "`address` to listen on")
	fs.StringVar(&hostPort, "host-port", "", "`port` to listen on")
	fs.StringVar(&containerIP, "container-ip", "", "container's `address`")
	fs.StringVar(&containerPort, "container-port", "", "container's `port`")
	fs.BoolVar(&o.listenFD, "use-listen-fd", false, "descriptor 4 is the listening socket")
	fs.BoolVar(&o.withParent, "exit-with-parent", true, "end when the process that started us ends")
	fs.BoolVar(&o.version, "version", false, "tell the version")
	fs.BoolVar(&o.version, "v", false, "tell the version")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if o.version {
		_, err := fmt.Fprintln(out, version)
		return o, err
	}
	if hostIP != "" || containerIP != "" {
		spec, err := classic(proto, hostIP, hostPort, containerIP, containerPort)
		if err != nil {
			return o, err
		}
		o.publish = append(o.publish, spec)
	}
	return o, o.check(fs.Args())
}

func (o options) check(words []string) error {
	switch {
	case len(words) > 0:
		return fmt.Errorf("%w: unexpected word %q", proxy.ErrSpec, words[0])
	case len(o.publish) == 0:
		return fmt.Errorf("%w: no port named; see --help", proxy.ErrSpec)
	case o.listenFD && len(o.publish) != 1:
		return fmt.Errorf("%w: -use-listen-fd is for one port, got %d", proxy.ErrSpec, len(o.publish))
	}
	return nil
}

// classic makes a spec of docker-proxy's flags.
func classic(proto, hostIP, hostPort, containerIP, containerPort string) (proxy.Spec, error) {
	host, err := addrPort(hostIP, hostPort)
	if err != nil {
		return proxy.Spec{}, fmt.Errorf("host: %w", err)
	}
	container, err := addrPort(containerIP, containerPort)
	if err != nil {
		return proxy.Spec{}, fmt.Errorf("container: %w", err)
	}
	return proxy.NewSpec(proto, host, container)
}

func addrPort(ip, port string) (netip.AddrPort, error) {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%w: %w", proxy.ErrSpec, err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%w: port %q: %w", proxy.ErrSpec, port, err)
	}
	return netip.AddrPortFrom(a, uint16(n)), nil
}

func run(o options, pipe *os.File) error {
	ctx, cancel := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer cancel()
	if o.withParent {
		var stop context.CancelFunc
		var err error
		if ctx, stop, err = proxy.WithParent(ctx); err != nil {
			return errors.Join(err, proxy.Report(pipe, err))
		}
		defer stop()
	}
	p, err := listen(ctx, o)
	if rerr := proxy.Report(pipe, err); err != nil || rerr != nil {
		return errors.Join(err, rerr)
	}
	return p.Serve(ctx)
}

func listen(ctx context.Context, o options) (*proxy.Proxy, error) {
	if !o.listenFD {
		return proxy.Listen(ctx, o.publish, proxy.Options{})
	}
	f := os.NewFile(4, "listening socket")
	defer f.Close()
	return proxy.Adopt(f, o.publish[0], proxy.Options{})
}
