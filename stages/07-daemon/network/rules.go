package network

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// A Ruleset is one nft table as data. String prints it as `nft list table` does; nft.go sends it to the kernel.
type Ruleset struct {
	Table  string
	Sets   []Set
	Chains []Chain
}

// Set is a set, or with Values a map. Published ports are elements of it, so that one more port is one more element and
// the chains never grow.
type Set struct {
	Name     string
	Key      []FieldType
	Value    []FieldType
	Elements []Element
}

// FieldType is a field of an element, by nft's name of it.
type FieldType string

// The field types in use.
const (
	InetProto   FieldType = "inet_proto"
	IPv4Addr    FieldType = "ipv4_addr"
	InetService FieldType = "inet_service"
)

// Element is one key, and in a map its value. The fields are a Proto, a netip.Addr or a uint16 port.
type Element struct {
	Key, Value []any
}

// Chain is a base chain.
type Chain struct {
	Name, Type, Hook, Priority string
	Rules                      []Rule
}

// Rule is a list of matches that must all hold, and then the verdict.
type Rule []Expr

// Expr is a match or a verdict, in nft's words. Every kind has a translation for the kernel in nft.go.
type Expr interface{ fmt.Stringer }

// The kinds of matches and verdicts.
type (
	IfName  struct{ Key, Op, Name string } // iifname or oifname
	Address struct {                       // ip saddr or ip daddr
		Key    string
		Prefix netip.Prefix
	}
	NotLocal  struct{}                   // the destination is no address of this host
	Conntrack struct{ Key, Word string } // ct state or ct status
	Member    struct {                   // a set has these fields of the packet
		Fields []Field
		Set    string
	}
	DNAT struct { // to what the map says, or on to the next rule when it says nothing
		Fields []Field
		Map    string
	}
	Verdict string
)

// Field is a part of the packet, by nft's name of it.
type Field string

// The fields that set members are made of.
const (
	L4Proto Field = "meta l4proto"
	DstAddr Field = "ip daddr"
	DstPort Field = "th dport"
)

// The verdicts in use.
const (
	Accept     Verdict = "accept"
	Drop       Verdict = "drop"
	Return     Verdict = "return"
	Masquerade Verdict = "masquerade"
)

// Names of the table and of the sets that hold published ports.
const (
	tableName = "slipway"
	setProtos = "protocols"
	mapAny    = "published-any"
	mapOne    = "published"
	setLoop   = "published-loopback"
)

func (m IfName) String() string    { return fmt.Sprintf("%s %s%q", m.Key, m.Op, m.Name) }
func (m Address) String() string   { return m.Key + " " + m.Prefix.String() }
func (NotLocal) String() string    { return "fib daddr type != local" }
func (m Conntrack) String() string { return "ct " + m.Key + " " + m.Word }
func (m Member) String() string    { return joinFields(m.Fields) + " @" + m.Set }
func (m DNAT) String() string      { return "dnat ip to " + joinFields(m.Fields) + " map @" + m.Map }
func (v Verdict) String() string   { return string(v) }

func joinFields(fields []Field) string {
	words := make([]string, len(fields))
	for i, f := range fields {
		words[i] = string(f)
	}
	return strings.Join(words, " . ")
}

// PlanRules is the whole table for one bridge and the endpoints that live on it.
func PlanRules(c Config, live []*Endpoint) Ruleset {
	return Ruleset{
		Table: tableName,
		Sets:  planSets(live),
		Chains: []Chain{
			guardChain(c),
			publishChain("prerouting", "dstnat"),
			publishChain("output", "-100"),
			leaveChain(c),
			forwardChain(c),
		},
	}
}

// guardChain drops what must never arrive, before conntrack sees it. A container's address is nobody's business outside
// its bridge: a neighbour who adds a route to the subnet would reach ports that were never published. And a port
// published on 127.0.0.1 is for this host alone, even where route_localnet is on.
func guardChain(c Config) Chain {
	return Chain{"guard", "filter", "prerouting", "raw", []Rule{
		{notIn("lo"), notIn(c.Bridge), Address{"ip daddr", c.Subnet}, Drop},
		{notIn("lo"), Member{[]Field{L4Proto, DstAddr, DstPort}, setLoop}, Drop},
	}}
}

func notIn(link string) IfName { return IfName{"iifname", "!= ", link} }
func in(link string) IfName    { return IfName{"iifname", "", link} }
func out(link string) IfName   { return IfName{"oifname", "", link} }

// publishChain sends published ports to their containers: what comes in (prerouting) and what this host itself sends to
// one of its own addresses (output). 127.0.0.0/8 is left to slipway-proxy: the kernel routes no packet with a loopback
// source to another machine.
func publishChain(hook, priority string) Chain {
	return Chain{"publish-" + hook, "nat", hook, priority, []Rule{
		{Address{"ip daddr", loopback4()}, Return},
		{NotLocal{}, Return},
		{Member{[]Field{L4Proto}, setProtos}, DNAT{[]Field{L4Proto, DstAddr, DstPort}, mapOne}},
		{Member{[]Field{L4Proto}, setProtos}, DNAT{[]Field{L4Proto, DstPort}, mapAny}},
	}}
}

func loopback4() netip.Prefix { return netip.MustParsePrefix("127.0.0.0/8") }

// leaveChain gives packets that leave the bridge the host's address. The second rule is for a container that calls a
// published port by the host's address: without it the answer would take the short way over the bridge, from an address
// that the caller never asked.
func leaveChain(c Config) Chain {
	return Chain{"leave", "nat", "postrouting", "srcnat", []Rule{
		{Address{"ip saddr", c.Subnet}, IfName{"oifname", "!= ", c.Bridge}, Masquerade},
		{Address{"ip saddr", c.Subnet}, out(c.Bridge), Conntrack{"status", "dnat"}, Masquerade},
	}}
}

// forwardChain lets containers out and to each other, and lets in only answers and published ports. It says nothing about
// packets that are not ours.
func forwardChain(c Config) Chain {
	return Chain{"forward", "filter", "forward", "filter", []Rule{
		{in(c.Bridge), Accept},
		{out(c.Bridge), Conntrack{"state", "established,related"}, Accept},
		{out(c.Bridge), Conntrack{"status", "dnat"}, Accept},
		{out(c.Bridge), Drop},
	}}
}

// planSets are the maps of published ports with the elements of the living.
func planSets(live []*Endpoint) []Set {
	sets := []Set{
		{Name: setProtos, Key: []FieldType{InetProto}, Elements: []Element{{Key: []any{TCP}}, {Key: []any{UDP}}}},
		{Name: mapAny, Key: []FieldType{InetProto, InetService}, Value: []FieldType{IPv4Addr, InetService}},
		{Name: mapOne, Key: []FieldType{InetProto, IPv4Addr, InetService}, Value: []FieldType{IPv4Addr, InetService}},
		{Name: setLoop, Key: []FieldType{InetProto, IPv4Addr, InetService}},
	}
	for _, e := range live {
		for name, elements := range PortElements(e) {
			i := slices.IndexFunc(sets, func(s Set) bool { return s.Name == name })
			sets[i].Elements = append(sets[i].Elements, elements...)
		}
	}
	return sets
}

// PortElements are the elements that publish an endpoint's ports, by the set they belong to. Ports on IPv6 addresses have
// none: the bridge is IPv4, and slipway-proxy carries them over.
func PortElements(e *Endpoint) map[string][]Element {
	found := map[string][]Element{}
	for _, p := range e.Ports {
		to := []any{e.IPv4.Addr(), p.ContainerPort}
		switch {
		case !p.HostIP.Is4():
		case p.HostIP.IsLoopback():
			found[setLoop] = append(found[setLoop], Element{Key: []any{p.Proto, p.HostIP, p.HostPort}})
		case p.HostIP.IsUnspecified():
			found[mapAny] = append(found[mapAny], Element{Key: []any{p.Proto, p.HostPort}, Value: to})
		default:
			found[mapOne] = append(found[mapOne], Element{Key: []any{p.Proto, p.HostIP, p.HostPort}, Value: to})
		}
	}
	return found
}
