package runflags

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/network"
)

// ports compiles -p, -P and --expose.
func (f *Flags) ports(r *Request, _ Sources) error {
	r.HostConfig.PublishAllPorts = f.PublishAll
	r.Config.ExposedPorts = network.PortSet{}
	r.HostConfig.PortBindings = network.PortMap{}
	for _, text := range f.Publish {
		if err := publish(r, text); err != nil {
			return err
		}
	}
	for _, text := range f.Expose {
		if strings.Contains(text, ":") {
			return fmt.Errorf("invalid port format for --expose: %s", text)
		}
		ports, err := network.ParsePortRange(text)
		if err != nil {
			return fmt.Errorf("invalid range format for --expose: %w", err)
		}
		for port := range ports.All() {
			r.Config.ExposedPorts[port] = struct{}{}
		}
	}
	return nil
}

// publish reads [[HOSTIP:]HOSTPORT[-END]:]PORT[-END][/PROTO].
func publish(r *Request, text string) error {
	if strings.Contains(text, "=") {
		long, err := longPublish(text)
		if err != nil {
			return err
		}
		text = long
	}
	ip, hostText, containerText, err := splitPublish(text)
	if err != nil {
		return err
	}
	ports, err := network.ParsePortRange(containerText)
	if err != nil || ports.Start() == 0 {
		return fmt.Errorf("invalid containerPort: %s", containerText)
	}
	count := int(ports.End()) - int(ports.Start()) + 1
	first, last, err := hostRange(hostText)
	if err != nil {
		return fmt.Errorf("invalid hostPort: %s", hostText)
	}
	if hostText != "" && last-first+1 != count && count != 1 {
		return fmt.Errorf("invalid ranges specified for container and host Ports: %s and %s", containerText, hostText)
	}
	i := 0
	for port := range ports.All() {
		binding := network.PortBinding{HostIP: ip}
		switch {
		case hostText == "":
		case count == 1 && first != last:
			binding.HostPort = hostText // one container port, a range to choose from
		default:
			binding.HostPort = strconv.Itoa(first + i)
		}
		r.Config.ExposedPorts[port] = struct{}{}
		r.HostConfig.PortBindings[port] = append(r.HostConfig.PortBindings[port], binding)
		i++
	}
	return nil
}

// splitPublish cuts from the right, because an address may hold colons in brackets.
func splitPublish(text string) (ip netip.Addr, host, inside string, err error) {
	at := strings.LastIndex(text, ":")
	if at < 0 {
		return ip, "", text, nil
	}
	text, inside = text[:at], text[at+1:]
	at = strings.LastIndex(text, ":")
	if at < 0 {
		return ip, text, inside, nil
	}
	address, host := text[:at], text[at+1:]
	if address == "" {
		return ip, host, inside, nil
	}
	ip, err = netip.ParseAddr(strings.Trim(address, "[]"))
	if err != nil {
		return ip, "", "", fmt.Errorf("invalid IP address: %s", address)
	}
	return ip, host, inside, nil
}

func hostRange(text string) (first, last int, err error) {
	if text == "" {
		return 0, 0, nil
	}
	low, high, ranged := strings.Cut(text, "-")
	if !ranged {
		high = low
	}
	for _, end := range []struct {
		text string
		into *int
	}{{low, &first}, {high, &last}} {
		n, err := strconv.ParseUint(end.text, 10, 16)
		if err != nil {
			return 0, 0, err
		}
		*end.into = int(n)
	}
	if last < first {
		return 0, 0, fmt.Errorf("%s ends before it starts", text)
	}
	return first, last, nil
}

// longPublish turns target=80,published=8080,protocol=tcp into the short form.
func longPublish(text string) (string, error) {
	target, published, protocol := "", "", "tcp"
	for field := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(field, "=")
		switch strings.ToLower(key) {
		case "target":
			target = value
		case "published":
			published = value
		case "protocol":
			protocol = value
		case "mode": // means something to swarm services only
		default:
			return "", fmt.Errorf("invalid field key %s", key)
		}
	}
	if target == "" {
		return "", fmt.Errorf("invalid containerPort: %s", text)
	}
	if published != "" {
		published += ":"
	}
	return published + target + "/" + protocol, nil
}
