package cli

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/slipway-engine/slipway/stages/07-daemon/cli/runflags"
	"github.com/spf13/cobra"
)

type networkCreateOptions struct {
	driver, ipamDriver                         string
	internal, attachable, ipv4, ipv6           bool
	subnets, gateways, ranges, labels, options []string
}

func newNetworkCreate(app *App) *cobra.Command {
	o := &networkCreateOptions{}
	cmd := &cobra.Command{Use: "create [OPTIONS] NETWORK", Short: "Create a network", Args: exactArgs(1)}
	fs := cmd.Flags()
	fs.StringVarP(&o.driver, "driver", "d", "bridge", "Driver to manage the Network")
	fs.StringVar(&o.ipamDriver, "ipam-driver", "default", "IP Address Management Driver")
	fs.BoolVar(&o.internal, "internal", false, "Restrict external access to the network")
	fs.BoolVar(&o.attachable, "attachable", false, "Enable manual container attachment")
	fs.BoolVar(&o.ipv4, "ipv4", true, "Enable or disable IPv4 address assignment")
	fs.BoolVar(&o.ipv6, "ipv6", false, "Enable or disable IPv6 address assignment")
	fs.StringSliceVar(&o.subnets, "subnet", nil, "Subnet in CIDR format that represents a network segment")
	fs.StringSliceVar(&o.gateways, "gateway", nil, "IPv4 or IPv6 Gateway for the master subnet")
	fs.StringSliceVar(&o.ranges, "ip-range", nil, "Allocate container ip from a sub-range")
	fs.Var(runflags.List(&o.labels), "label", "Set metadata on a network")
	fs.VarP(runflags.List(&o.options), "opt", "o", "Set driver specific options")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		request, err := o.compile()
		if err != nil {
			return err
		}
		if fs.Changed("ipv4") {
			request.EnableIPv4 = &o.ipv4
		}
		if fs.Changed("ipv6") {
			request.EnableIPv6 = &o.ipv6
		}
		return runNetworkCreate(cmd.Context(), app, request, args[0])
	}
	return cmd
}

// compile puts each gateway and range to the subnet that holds it.
func (o *networkCreateOptions) compile() (client.NetworkCreateOptions, error) {
	request := client.NetworkCreateOptions{
		Driver: o.driver, Internal: o.internal, Attachable: o.attachable, Options: runflags.Pairs(o.options), Labels: runflags.Pairs(o.labels),
		IPAM: &network.IPAM{Driver: o.ipamDriver},
	}
	for _, text := range o.subnets {
		subnet, err := netip.ParsePrefix(text)
		if err != nil {
			return request, fmt.Errorf("invalid subnet %s: %w", text, err)
		}
		request.IPAM.Config = append(request.IPAM.Config, network.IPAMConfig{Subnet: subnet})
	}
	holder := func(ip netip.Addr) *network.IPAMConfig {
		for i := range request.IPAM.Config {
			if request.IPAM.Config[i].Subnet.Contains(ip) {
				return &request.IPAM.Config[i]
			}
		}
		return nil
	}
	for _, text := range o.gateways {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			return request, fmt.Errorf("invalid gateway %s: %w", text, err)
		}
		config := holder(ip)
		if config == nil {
			return request, fmt.Errorf("no matching subnet for gateway %s", text)
		}
		config.Gateway = ip
	}
	for _, text := range o.ranges {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return request, fmt.Errorf("invalid ip-range %s: %w", text, err)
		}
		config := holder(prefix.Addr())
		if config == nil {
			return request, fmt.Errorf("no matching subnet for range %s", text)
		}
		config.IPRange = prefix
	}
	return request, nil
}

func runNetworkCreate(ctx context.Context, app *App, request client.NetworkCreateOptions, name string) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	got, err := api.NetworkCreate(ctx, name, request)
	if err != nil {
		return err
	}
	for _, warning := range got.Warning {
		app.warn(warning)
	}
	app.println(got.ID)
	return nil
}
