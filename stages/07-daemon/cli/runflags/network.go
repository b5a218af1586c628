package runflags

import (
	"encoding/csv"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
)

// network compiles --network (its short form NAME and its long form name=NAME,alias=…), addresses, aliases and links.
func (f *Flags) network(r *Request, _ Sources) error {
	h := r.HostConfig
	h.Links = f.Links
	h.NetworkMode = "default"
	for i, text := range f.Networks {
		name, endpoint, err := attachment(text)
		if err != nil {
			return FlagError{text, "network", err}
		}
		if i == 0 {
			h.NetworkMode = container.NetworkMode(name)
			if err := f.firstEndpoint(h.NetworkMode, endpoint); err != nil {
				return err
			}
		}
		if _, twice := r.NetworkingConfig.EndpointsConfig[name]; twice {
			return fmt.Errorf("network %q is specified multiple times", name)
		}
		r.NetworkingConfig.EndpointsConfig[name] = endpoint
	}
	if len(f.Networks) == 0 {
		endpoint := &network.EndpointSettings{}
		if err := f.firstEndpoint(h.NetworkMode, endpoint); err != nil {
			return err
		}
		r.NetworkingConfig.EndpointsConfig["default"] = endpoint
	}
	if h.NetworkMode.IsHost() && len(f.Links) > 0 {
		return fmt.Errorf("conflicting options: host type networking can't be used with links. This would result in undefined behavior")
	}
	return nil
}

// attachment reads one --network.
func attachment(text string) (string, *network.EndpointSettings, error) {
	endpoint := &network.EndpointSettings{}
	if !strings.Contains(text, "=") {
		return text, endpoint, nil
	}
	fields, err := csv.NewReader(strings.NewReader(text)).Read()
	if err != nil {
		return "", nil, err
	}
	name := ""
	for _, field := range fields {
		key, value, ok := strings.Cut(field, "=")
		if !ok {
			return "", nil, fmt.Errorf("invalid field '%s' must be a key=value pair", field)
		}
		switch strings.ToLower(key) {
		case "name":
			name = value
		case "alias":
			endpoint.Aliases = append(endpoint.Aliases, value)
		case "driver-opt":
			endpoint.DriverOpts = add(endpoint.DriverOpts, value)
		case "ip", "ip6":
			err = setAddress(endpoint, key, value)
		case "mac-address":
			err = setMAC(endpoint, value)
		case "gw-priority":
			_, err = fmt.Sscan(value, &endpoint.GwPriority)
		default:
			err = fmt.Errorf("invalid field key %s", key)
		}
		if err != nil {
			return "", nil, err
		}
	}
	if name == "" {
		return "", nil, errors.New("network name is required")
	}
	return name, endpoint, nil
}

// firstEndpoint puts --ip, --mac-address, --network-alias and --link on the first network.
func (f *Flags) firstEndpoint(mode container.NetworkMode, endpoint *network.EndpointSettings) error {
	if len(f.NetworkAlias) > 0 && !mode.IsUserDefined() {
		return fmt.Errorf("network-scoped alias is supported only for containers in user defined networks")
	}
	endpoint.Aliases = append(endpoint.Aliases, f.NetworkAlias...)
	if mode.IsUserDefined() {
		endpoint.Links = f.Links
	}
	if err := addresses(endpoint, f.IP, f.IP6, f.LinkLocalIPs); err != nil {
		return err
	}
	if f.MacAddress != "" {
		return setMAC(endpoint, f.MacAddress)
	}
	return nil
}

// addresses compiles --ip, --ip6 and --link-local-ip.
func addresses(endpoint *network.EndpointSettings, ip4, ip6 string, linkLocal []string) error {
	for key, value := range map[string]string{"ip": ip4, "ip6": ip6} {
		if value == "" {
			continue
		}
		if err := setAddress(endpoint, key, value); err != nil {
			return err
		}
	}
	for _, text := range linkLocal {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			return FlagError{text, "link-local-ip", fmt.Errorf("IP address is not correctly formatted: %s", text)}
		}
		ipamOf(endpoint).LinkLocalIPs = append(ipamOf(endpoint).LinkLocalIPs, ip)
	}
	return nil
}

func ipamOf(endpoint *network.EndpointSettings) *network.EndpointIPAMConfig {
	if endpoint.IPAMConfig == nil {
		endpoint.IPAMConfig = &network.EndpointIPAMConfig{}
	}
	return endpoint.IPAMConfig
}

func setAddress(endpoint *network.EndpointSettings, key, value string) error {
	ip, err := netip.ParseAddr(value)
	if err != nil {
		return FlagError{value, key, err}
	}
	if key == "ip6" {
		ipamOf(endpoint).IPv6Address = ip
	} else {
		ipamOf(endpoint).IPv4Address = ip
	}
	return nil
}

func setMAC(endpoint *network.EndpointSettings, value string) error {
	mac, err := net.ParseMAC(value)
	if err != nil {
		return fmt.Errorf("%s is not a valid mac address", value)
	}
	endpoint.MacAddress = network.HardwareAddr(mac)
	return nil
}

// names compiles what the container's resolver and sysctls are told.
func (f *Flags) names(r *Request, _ Sources) error {
	h := r.HostConfig
	for _, text := range f.DNS {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			return FlagError{text, "dns", fmt.Errorf("IP address is not correctly formatted: %s", text)}
		}
		h.DNS = append(h.DNS, ip)
	}
	h.DNSOptions, h.DNSSearch = f.DNSOptions, f.DNSSearch
	for _, text := range f.AddHost {
		host, err := extraHost(text)
		if err != nil {
			return FlagError{text, "add-host", err}
		}
		h.ExtraHosts = append(h.ExtraHosts, host)
	}
	var err error
	h.Sysctls, err = strictPairs("sysctl", f.Sysctls)
	return err
}

// extraHost reads host:ip or host=ip; `host-gateway` stands for the daemon's address.
func extraHost(text string) (string, error) {
	at := strings.IndexAny(text, "=:")
	if at <= 0 {
		return "", fmt.Errorf("bad format for add-host: %q", text)
	}
	name, ip := text[:at], text[at+1:]
	ip = strings.TrimSuffix(strings.TrimPrefix(ip, "["), "]")
	if ip != "host-gateway" {
		if _, err := netip.ParseAddr(ip); err != nil {
			return "", fmt.Errorf("invalid IP address in add-host: %q", ip)
		}
	}
	return name + ":" + ip, nil
}
