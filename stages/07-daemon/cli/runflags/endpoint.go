package runflags

import (
	"github.com/moby/moby/api/types/network"
	"github.com/spf13/pflag"
)

// Endpoint are the flags of `network connect`.
type Endpoint struct {
	ip, ip6                         string
	aliases, links, linkLocal, opts []string
	priority                        int
}

// Bind declares the flags.
func (e *Endpoint) Bind(fs *pflag.FlagSet) {
	fs.StringVar(&e.ip, "ip", "", `IPv4 address (e.g., "172.30.100.104")`)
	fs.StringVar(&e.ip6, "ip6", "", `IPv6 address (e.g., "2001:db8::33")`)
	fs.StringSliceVar(&e.aliases, "alias", nil, "Add network-scoped alias for the container")
	fs.Var(list(&e.links), "link", "Add link to another container")
	fs.StringSliceVar(&e.linkLocal, "link-local-ip", nil, "Add a link-local address for the container")
	fs.StringSliceVar(&e.opts, "driver-opt", nil, "driver options for the network")
	fs.IntVar(&e.priority, "gw-priority", 0, "Highest gw-priority provides the default gateway. Accepts positive and negative values.")
}

// Compile turns the flags into the endpoint to make.
func (e *Endpoint) Compile() (*network.EndpointSettings, error) {
	endpoint := &network.EndpointSettings{Aliases: e.aliases, Links: e.links, GwPriority: e.priority}
	opts, err := strictPairs("driver-opt", e.opts)
	if err != nil {
		return nil, err
	}
	endpoint.DriverOpts = opts
	return endpoint, addresses(endpoint, e.ip, e.ip6, e.linkLocal)
}
