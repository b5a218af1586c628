package applets

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ip shows addresses, links and routes: `ip addr`, `ip link`, `ip route` (and their short forms).
func ip(p *Proc) int {
	args := p.Args[1:]
	family := ""
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		family, args = args[0], args[1:]
	}
	if len(args) == 0 {
		return p.failf("usage: ip [-4|-6|-br] addr|link|route [show [dev NAME]]")
	}
	only := ""
	for i, arg := range args {
		if arg == "dev" && i+1 < len(args) {
			only = args[i+1]
		}
	}
	if only == "" && len(args) > 1 && args[len(args)-1] != "show" && args[len(args)-1] != "list" {
		only = args[len(args)-1]
	}
	switch object := args[0]; {
	case strings.HasPrefix("route", object):
		if family == "-6" {
			return p.routes6()
		}
		return p.routes()
	case strings.HasPrefix("address", object):
		return p.links(true, family, only)
	case strings.HasPrefix("link", object):
		return p.links(false, family, only)
	}
	return p.failf("object %q is unknown, try addr, link or route", args[0])
}

func (p *Proc) links(addresses bool, family, only string) int {
	list, err := net.Interfaces()
	if err != nil {
		return p.fail(err)
	}
	found := false
	for _, link := range list {
		if only != "" && link.Name != only {
			continue
		}
		found = true
		p.link(link)
		if !addresses {
			continue
		}
		addrs, err := link.Addrs()
		if err != nil {
			return p.fail(err)
		}
		for _, addr := range addrs {
			word := "inet"
			if prefix, ok := addr.(*net.IPNet); ok && prefix.IP.To4() == nil {
				word = "inet6"
			}
			if family == "-4" && word != "inet" || family == "-6" && word != "inet6" {
				continue
			}
			fmt.Fprintf(p.Out, "    %s %s scope %s %s\n", word, addr, scope(addr), link.Name)
		}
	}
	if only != "" && !found {
		return p.failf("can't find device '%s'", only)
	}
	return 0
}

func scope(addr net.Addr) string {
	prefix, ok := addr.(*net.IPNet)
	switch {
	case ok && prefix.IP.IsLoopback():
		return "host"
	case ok && prefix.IP.IsLinkLocalUnicast():
		return "link"
	}
	return "global"
}

func (p *Proc) link(link net.Interface) {
	var words []string
	for _, f := range []struct {
		flag net.Flags
		word string
	}{
		{net.FlagLoopback, "LOOPBACK"},
		{net.FlagBroadcast, "BROADCAST"},
		{net.FlagMulticast, "MULTICAST"},
		{net.FlagUp, "UP"},
		{net.FlagRunning, "LOWER_UP"},
	} {
		if link.Flags&f.flag != 0 {
			words = append(words, f.word)
		}
	}
	state := "DOWN"
	if link.Flags&net.FlagRunning != 0 {
		state = "UP"
	}
	kind, mac := "ether", link.HardwareAddr.String()
	if link.Flags&net.FlagLoopback != 0 {
		kind, mac, state = "loopback", "00:00:00:00:00:00", "UNKNOWN"
	}
	name := link.Name
	// sysfs may be absent; then the peer's index is simply not shown.
	if text, err := os.ReadFile(filepath.Join("/sys/class/net", name, "iflink")); err == nil {
		if peer, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && peer != link.Index && peer > 0 {
			name += "@if" + strconv.Itoa(peer)
		}
	}
	fmt.Fprintf(p.Out, "%d: %s: <%s> mtu %d state %s\n    link/%s %s\n", link.Index, name, strings.Join(words, ","), link.MTU, state, kind, mac)
}

// routes reads /proc/net/route: addresses are hexadecimal in host byte order.
func (p *Proc) routes() int {
	f, err := os.Open("/proc/net/route")
	if err != nil {
		return p.fail(err)
	}
	defer f.Close()
	first := true
	err = eachLine(f, func(line string) error {
		w := strings.Fields(line)
		if first || len(w) < 8 {
			first = false
			return nil
		}
		dest, gateway, mask := hexIP(w[1]), hexIP(w[2]), hexIP(w[7])
		ones, _ := net.IPMask(mask).Size()
		text := fmt.Sprintf("%s/%d", dest, ones)
		if ones == 0 {
			text = "default"
		}
		if !gateway.IsUnspecified() {
			text += " via " + gateway.String()
		}
		text += " dev " + w[0]
		if w[6] != "0" {
			text += " metric " + w[6]
		}
		fmt.Fprintln(p.Out, text)
		return nil
	})
	if err != nil {
		return p.fail(err)
	}
	return 0
}

func hexIP(text string) net.IP {
	n, err := strconv.ParseUint(text, 16, 32)
	if err != nil {
		return net.IPv4zero.To4()
	}
	return binary.NativeEndian.AppendUint32(nil, uint32(n))
}

func (p *Proc) routes6() int {
	f, err := os.Open("/proc/net/ipv6_route")
	if err != nil {
		return p.fail(err)
	}
	defer f.Close()
	err = eachLine(f, func(line string) error {
		w := strings.Fields(line)
		if len(w) < 10 {
			return nil
		}
		dest, err1 := hex.DecodeString(w[0])
		ones, err2 := strconv.ParseUint(w[1], 16, 8)
		gateway, err3 := hex.DecodeString(w[4])
		if err := errors.Join(err1, err2, err3); err != nil {
			return err
		}
		text := fmt.Sprintf("%s/%d", net.IP(dest), ones)
		if ones == 0 {
			text = "default"
		}
		if !net.IP(gateway).IsUnspecified() {
			text += " via " + net.IP(gateway).String()
		}
		fmt.Fprintln(p.Out, text+" dev "+w[9])
		return nil
	})
	if err != nil {
		return p.fail(err)
	}
	return 0
}

func nslookup(p *Proc) int {
	if len(p.Args) < 2 {
		return p.failf("usage: nslookup HOST")
	}
	return p.addresses(p.Args[1])
}

func (p *Proc) addresses(host string) int {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return p.fail(err)
	}
	for _, addr := range addrs {
		if p.Args[0] == "nslookup" {
			fmt.Fprintf(p.Out, "Name:\t%s\nAddress: ", host)
		}
		fmt.Fprintln(p.Out, addr)
	}
	return 0
}

// nc connects or listens (-l), TCP or UDP (-u) or a unix socket (-U); -k keeps listening, -z only tries, -w limits the wait.
func nc(p *Proc) int {
	opt, operands, ok := p.getopt("-lkuUzvnp:w:s:")
	if !ok {
		return 1
	}
	network := "tcp"
	if opt.has('u') {
		network = "udp"
	}
	if opt.has('U') {
		network = "unix"
	}
	wait := time.Duration(0)
	if text, given := opt['w']; given {
		d, err := duration(text)
		if err != nil {
			return p.failf("invalid number '%s'", text)
		}
		wait = d
	}
	address := strings.Join(operands, ":")
	if network != "unix" {
		if port, given := opt['p']; given && opt.has('l') {
			operands = append(operands, port)
		}
		switch len(operands) {
		case 1:
			address = net.JoinHostPort(opt['s'], operands[0])
		case 2:
			address = net.JoinHostPort(operands[0], operands[1])
		default:
			return p.failf("usage: nc [-lkuUzv] [-w SECS] [-p PORT] HOST PORT")
		}
	}
	if opt.has('l') {
		return p.listen(network, address, opt.has('k'))
	}
	conn, err := net.DialTimeout(network, address, wait)
	if err != nil {
		return p.failf("%v", err)
	}
	defer conn.Close()
	if opt.has('v') {
		fmt.Fprintf(p.Err, "%s open\n", conn.RemoteAddr())
	}
	if opt.has('z') {
		return 0
	}
	return p.join(conn, wait)
}

func (p *Proc) listen(network, address string, keep bool) int {
	if network == "udp" {
		return p.listenPacket(address)
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		return p.failf("%v", err)
	}
	defer listener.Close()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return p.failf("%v", err)
		}
		status := p.join(conn, 0)
		if err := conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return p.fail(err)
		}
		if !keep {
			return status
		}
	}
}

// listenPacket prints each datagram and answers it with nothing: enough to see that one arrives.
func (p *Proc) listenPacket(address string) int {
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		return p.failf("%v", err)
	}
	defer conn.Close()
	buf := make([]byte, 65536)
	peer := make(chan net.Addr, 1)
	go func() {
		to := <-peer
		for {
			n, err := p.In.Read(buf[32768:])
			if err != nil {
				return
			}
			if _, err := conn.WriteTo(buf[32768:32768+n], to); err != nil {
				return
			}
		}
	}()
	for {
		n, from, err := conn.ReadFrom(buf[:32768])
		if err != nil {
			return p.failf("%v", err)
		}
		select {
		case peer <- from:
		default:
		}
		if _, err := p.Out.Write(buf[:n]); err != nil {
			return 1
		}
	}
}

// join copies both ways until the peer is done; the end of our input closes only our half.
func (p *Proc) join(conn net.Conn, wait time.Duration) int {
	go func() {
		if _, err := io.Copy(conn, p.In); err != nil {
			return
		}
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite() // the peer may have left already
		}
		if wait > 0 {
			_ = conn.SetReadDeadline(time.Now().Add(wait))
		}
	}()
	if _, err := io.Copy(p.Out, conn); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return p.failf("%v", err)
	}
	return 0
}

// wget fetches http URLs with a client of a page; https is not in the toolbox (it would double its size).
func wget(p *Proc) int {
	var args []string
	for _, arg := range p.Args {
		if arg != "--no-verbose" && arg != "--quiet" && arg != "--spider" {
			args = append(args, arg)
		}
	}
	p.Args = args
	opt, operands, ok := p.getopt("-qO:T:S")
	if !ok || len(operands) != 1 {
		return p.failf("usage: wget [-q] [-O FILE] [-T SECS] URL")
	}
	limit := time.Duration(0)
	if text, given := opt['T']; given {
		d, err := duration(text)
		if err != nil {
			return p.failf("invalid number '%s'", text)
		}
		limit = d
	}
	reply, err := httpGet(operands[0], limit, 5)
	if err != nil {
		return p.fail(err)
	}
	defer reply.conn.Close()
	if opt.has('S') {
		fmt.Fprintf(p.Err, "  %s\n", reply.status)
	}
	name := opt['O']
	if name == "" {
		name = filepath.Base(reply.path)
		if name == "/" || name == "." {
			name = "index.html"
		}
	}
	out := p.Out
	if name != "-" {
		f, err := os.Create(name)
		if err != nil {
			return p.fail(err)
		}
		defer f.Close()
		out = f
		if !opt.has('q') {
			fmt.Fprintf(p.Err, "saving to '%s'\n", name)
		}
	}
	if _, err := io.Copy(out, reply.body); err != nil {
		return p.fail(err)
	}
	return 0
}

// httpd serves the files below a directory: httpd [-p PORT] [-h DIR]. It stays in the foreground.
func httpd(p *Proc) int {
	opt, _, ok := p.getopt("-fp:h:v")
	if !ok {
		return 1
	}
	port, dir := "80", "."
	if opt['p'] != "" {
		port = opt['p']
	}
	if opt['h'] != "" {
		dir = opt['h']
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return p.fail(err)
	}
	defer root.Close()
	if !strings.Contains(port, ":") {
		port = ":" + port
	}
	listener, err := net.Listen("tcp", port)
	if err != nil {
		return p.failf("%v", err)
	}
	defer listener.Close()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return p.failf("%v", err)
		}
		go func() {
			defer conn.Close()
			if err := serveFile(conn, root); err != nil {
				p.failf("%s: %v", conn.RemoteAddr(), err)
			}
		}()
	}
}

func serveFile(conn net.Conn, root *os.Root) error {
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	in := bufio.NewReader(conn)
	request, err := in.ReadString('\n')
	if err != nil {
		return err
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		if strings.TrimSpace(line) == "" {
			break
		}
	}
	words := strings.Fields(request)
	if len(words) < 2 || words[0] != "GET" && words[0] != "HEAD" {
		_, err := fmt.Fprint(conn, "HTTP/1.0 501 Not Implemented\r\n\r\n")
		return err
	}
	name, _, _ := strings.Cut(strings.Trim(words[1], "/"), "?")
	if name == "" {
		name = "index.html"
	}
	text, err := root.ReadFile(name)
	if err != nil {
		_, err := fmt.Fprint(conn, "HTTP/1.0 404 Not Found\r\nContent-Length: 10\r\nConnection: close\r\n\r\nnot found\n")
		return err
	}
	if words[0] == "HEAD" {
		text = nil
	}
	_, err = fmt.Fprintf(conn, "HTTP/1.0 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(text), text)
	return err
}
