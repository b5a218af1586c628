package network

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
)

// Hosts is what /etc/hosts of a container says.
type Hosts struct {
	Hostname   string
	Domainname string
	IPv4       netip.Addr // zero: no line for the container itself
	Extra      []HostEntry
}

// HostEntry is one more line: --add-host.
type HostEntry struct {
	Name string
	Addr netip.Addr
}

// HostsFile is the content of /etc/hosts (hosts(5)).
func HostsFile(h Hosts) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("127.0.0.1\tlocalhost\n" +
		"::1\tlocalhost ip6-localhost ip6-loopback\n" +
		"fe00::\tip6-localnet\nff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n")
	for _, e := range h.Extra {
		if err := oneWord("host name", e.Name); err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%s\t%s\n", e.Addr, e.Name)
	}
	if h.IPv4.IsValid() && h.Hostname != "" {
		if err := oneWord("hostname", h.Hostname); err != nil {
			return nil, err
		}
		names := h.Hostname
		if h.Domainname != "" {
			if err := oneWord("domain name", h.Domainname); err != nil {
				return nil, err
			}
			names = h.Hostname + "." + h.Domainname + " " + h.Hostname
		}
		fmt.Fprintf(&b, "%s\t%s\n", h.IPv4, names)
	}
	return b.Bytes(), nil
}

// Resolver is what the user said about name resolution; an empty list leaves the host's.
type Resolver struct {
	Servers []string // --dns
	Search  []string // --dns-search; "." alone means none
	Options []string // --dns-option
}

// ResolvConf is the content of /etc/resolv.conf (resolv.conf(5)) made from the host's and the user's words. The host's
// loopback resolvers mean another machine inside a container's namespace, so they are left out; when nothing is left, the
// public servers that Docker falls back to are named.
func ResolvConf(host []byte, r Resolver) ([]byte, error) {
	was := parseResolv(host)
	servers := r.Servers
	if len(servers) == 0 {
		servers = outside(was["nameserver"])
	}
	if len(servers) == 0 {
		servers = []string{"8.8.8.8", "8.8.4.4"}
	}
	search, options := r.Search, r.Options
	if len(search) == 0 {
		search = was["search"]
	}
	if len(options) == 0 {
		options = was["options"]
	}
	var b bytes.Buffer
	for _, s := range servers {
		if _, err := netip.ParseAddr(s); err != nil {
			return nil, fmt.Errorf("nameserver %q is no IP address: %w", s, ErrInvalid)
		}
		fmt.Fprintf(&b, "nameserver %s\n", s)
	}
	if len(search) > 0 && !(len(search) == 1 && search[0] == ".") {
		if err := line(&b, "search", search); err != nil {
			return nil, err
		}
	}
	if len(options) > 0 {
		if err := line(&b, "options", options); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

func line(b *bytes.Buffer, key string, words []string) error {
	for _, w := range words {
		if err := oneWord(key, w); err != nil {
			return err
		}
	}
	fmt.Fprintf(b, "%s %s\n", key, strings.Join(words, " "))
	return nil
}

// parseResolv reads the lines we know. Of "search" and "domain" the last one counts, as in resolv.conf(5).
func parseResolv(text []byte) map[string][]string {
	found := map[string][]string{}
	for l := range strings.Lines(string(text)) {
		l, _, _ = strings.Cut(l, "#")
		l, _, _ = strings.Cut(l, ";")
		words := strings.Fields(l)
		if len(words) < 2 {
			continue
		}
		switch words[0] {
		case "nameserver":
			found["nameserver"] = append(found["nameserver"], words[1])
		case "search", "domain":
			found["search"] = words[1:]
		case "options":
			found["options"] = append(found["options"], words[1:]...)
		}
	}
	return found
}

// outside keeps the name servers that a container on an IPv4 network can reach.
func outside(servers []string) []string {
	var list []string
	for _, s := range servers {
		if a, err := netip.ParseAddr(s); err == nil && a.Is4() && !a.IsLoopback() {
			list = append(list, s)
		}
	}
	return list
}

// oneWord refuses a value that would become two words or two lines of a file that the container's libc trusts.
func oneWord(what, s string) error {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '#' }) {
		return fmt.Errorf("%s %q: %w", what, s, ErrInvalid)
	}
	return nil
}

// ResolvConfPath is the host's file to start from: where systemd-resolved is the only server in /etc/resolv.conf, the list of
// the servers behind it (systemd-resolved.service(8)).
func ResolvConfPath(etc []byte) string {
	servers := parseResolv(etc)["nameserver"]
	if len(servers) == 1 && servers[0] == "127.0.0.53" {
		return "/run/systemd/resolve/resolv.conf"
	}
	return "/etc/resolv.conf"
}
