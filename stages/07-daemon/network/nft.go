package network

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// firewall sends our rules to the kernel of the network namespace it is called in. Every method is one transaction:
// nothing of it or all of it happens, and the kernel's wait for an RCU grace period (6 to 14 ms) is paid once.
type firewall struct{}

// replace makes the table exactly what the ruleset says. Packets meet the old table or the new one, never none.
func (firewall) replace(r Ruleset) error {
	c, t, err := transaction(r.Table)
	if err != nil {
		return err
	}
	c.AddTable(t) // so that the deletion finds one
	c.DelTable(t)
	c.AddTable(t)
	for _, s := range r.Sets {
		elements, err := s.elements(s.Elements)
		if err != nil {
			return err
		}
		if err := c.AddSet(s.kernel(t), elements); err != nil {
			return fmt.Errorf("nft set %s: %w", s.Name, err)
		}
	}
	for _, chain := range r.Chains {
		if err := addChain(c, t, chain); err != nil {
			return err
		}
	}
	return commit(c, "replace table "+r.Table)
}

// exists tells whether the table is there.
func (firewall) exists() (bool, error) {
	c, err := nftables.New()
	if err != nil {
		return false, fmt.Errorf("nftables socket: %w", err)
	}
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyIPv4)
	if err != nil {
		return false, fmt.Errorf("nft list tables: %w", err)
	}
	for _, t := range tables {
		if t.Name == tableName {
			return true, nil
		}
	}
	return false, nil
}

// remove deletes the table.
func (firewall) remove() error {
	c, t, err := transaction(tableName)
	if err != nil {
		return err
	}
	c.AddTable(t)
	c.DelTable(t)
	return commit(c, "delete table "+tableName)
}

// add publishes the endpoint's ports. ENOENT means that somebody removed our table.
func (firewall) add(e *Endpoint) error {
	return change(e, "publish", func(c *nftables.Conn, s *nftables.Set, els []nftables.SetElement) error {
		return c.SetAddElements(s, els)
	})
}

// del withdraws them. ENOENT means that they or the table are gone already.
func (firewall) del(e *Endpoint) error {
	return change(e, "withdraw", func(c *nftables.Conn, s *nftables.Set, els []nftables.SetElement) error {
		return c.SetDeleteElements(s, els)
	})
}

type elementChange func(*nftables.Conn, *nftables.Set, []nftables.SetElement) error

func change(e *Endpoint, verb string, apply elementChange) error {
	byName := PortElements(e)
	if len(byName) == 0 {
		return nil
	}
	c, t, err := transaction(tableName)
	if err != nil {
		return err
	}
	for _, s := range planSets(nil) {
		elements, err := s.elements(byName[s.Name])
		if err != nil {
			return err
		}
		if len(elements) == 0 {
			continue
		}
		if err := apply(c, s.kernel(t), elements); err != nil {
			return fmt.Errorf("%s ports of %s: %w", verb, e.ContainerID, err)
		}
	}
	return commit(c, verb+" ports of "+e.ContainerID)
}

func transaction(table string) (*nftables.Conn, *nftables.Table, error) {
	c, err := nftables.New()
	if err != nil {
		return nil, nil, fmt.Errorf("nftables socket: %w", err)
	}
	return c, &nftables.Table{Name: table, Family: nftables.TableFamilyIPv4}, nil
}

func commit(c *nftables.Conn, what string) error {
	err := c.Flush()
	if errno, ok := errors.AsType[unix.Errno](err); ok {
		return fmt.Errorf("nft %s: %w", what, errno) // the library's "conn.Receive: netlink receive" says nothing
	}
	if err != nil {
		return fmt.Errorf("nft %s: %w", what, err)
	}
	return nil
}

// kernel is the set as the library wants it.
func (s Set) kernel(t *nftables.Table) *nftables.Set {
	return &nftables.Set{
		Table: t, Name: s.Name, IsMap: s.Value != nil, Concatenation: len(s.Key) > 1,
		KeyType: concat(s.Key), DataType: concat(s.Value),
	}
}

func concat(types []FieldType) nftables.SetDatatype {
	known := map[FieldType]nftables.SetDatatype{
		InetProto: nftables.TypeInetProto, IPv4Addr: nftables.TypeIPAddr, InetService: nftables.TypeInetService,
	}
	if len(types) == 1 {
		return known[types[0]]
	}
	var list []nftables.SetDatatype
	for _, t := range types {
		list = append(list, known[t])
	}
	return nftables.MustConcatSetType(list...)
}

func (s Set) elements(from []Element) ([]nftables.SetElement, error) {
	var list []nftables.SetElement
	for _, e := range from {
		key, err := registers(e.Key)
		if err != nil {
			return nil, err
		}
		value, err := registers(e.Value)
		if err != nil {
			return nil, err
		}
		list = append(list, nftables.SetElement{Key: key, Val: value})
	}
	return list, nil
}

// registers lays fields out as the kernel's registers do: network order, each padded to 4 bytes at its end.
// A lone field is not padded.
func registers(fields []any) ([]byte, error) {
	var b []byte
	for _, f := range fields {
		one, err := fieldBytes(f)
		if err != nil {
			return nil, err
		}
		for len(fields) > 1 && len(one)%4 != 0 {
			one = append(one, 0)
		}
		b = append(b, one...)
	}
	return b, nil
}

func fieldBytes(f any) ([]byte, error) {
	switch v := f.(type) {
	case Proto:
		n, ok := map[Proto]byte{TCP: unix.IPPROTO_TCP, UDP: unix.IPPROTO_UDP}[v]
		if !ok {
			return nil, fmt.Errorf("protocol %q: %w", v, ErrInvalid)
		}
		return []byte{n}, nil
	case netip.Addr:
		return v.AsSlice(), nil
	case uint16:
		return binaryutil.BigEndian.PutUint16(v), nil
	}
	return nil, fmt.Errorf("set field %v of type %T: %w", f, f, ErrInvalid)
}

func addChain(c *nftables.Conn, t *nftables.Table, chain Chain) error {
	hooks := map[string]*nftables.ChainHook{
		"prerouting": nftables.ChainHookPrerouting, "output": nftables.ChainHookOutput,
		"postrouting": nftables.ChainHookPostrouting, "forward": nftables.ChainHookForward,
	}
	priorities := map[string]*nftables.ChainPriority{
		"raw": nftables.ChainPriorityRaw, "dstnat": nftables.ChainPriorityNATDest, "-100": nftables.ChainPriorityNATDest,
		"srcnat": nftables.ChainPriorityNATSource, "filter": nftables.ChainPriorityFilter,
	}
	policy := nftables.ChainPolicyAccept
	k := c.AddChain(&nftables.Chain{
		Table: t, Name: chain.Name, Type: nftables.ChainType(chain.Type),
		Hooknum: hooks[chain.Hook], Priority: priorities[chain.Priority], Policy: &policy,
	})
	for _, r := range chain.Rules {
		exprs, err := r.kernel()
		if err != nil {
			return fmt.Errorf("chain %s: %w", chain.Name, err)
		}
		c.AddRule(&nftables.Rule{Table: t, Chain: k, Exprs: exprs})
	}
	return nil
}

// The kernel's registers: one of 16 bytes, which is also the first of sixteen of 4 bytes (nf_tables.h, enum nft_registers).
const (
	reg1   = unix.NFT_REG_1
	reg32n = 8 // NFT_REG32_00
)

// fieldRegister is where the i-th field of a concatenation lies.
func fieldRegister(i int) uint32 {
	if i == 0 {
		return reg1
	}
	return uint32(reg32n + i)
}

func (r Rule) kernel() ([]expr.Any, error) {
	var list []expr.Any
	for _, e := range r {
		part, err := kernelExpr(e)
		if err != nil {
			return nil, fmt.Errorf("rule %q: %w", r, err)
		}
		list = append(list, part...)
	}
	return list, nil
}

func kernelExpr(e Expr) ([]expr.Any, error) {
	switch e := e.(type) {
	case IfName:
		return e.kernel(), nil
	case Address:
		return e.kernel(), nil
	case NotLocal:
		return []expr.Any{
			&expr.Fib{Register: reg1, FlagDADDR: true, ResultADDRTYPE: true},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: reg1, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
		}, nil
	case Conntrack:
		return e.kernel()
	case Member:
		return append(load(e.Fields), &expr.Lookup{SourceRegister: reg1, SetName: e.Set}), nil
	case DNAT:
		return append(load(e.Fields),
			&expr.Lookup{SourceRegister: reg1, SetName: e.Map, DestRegister: reg1, IsDestRegSet: true},
			&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: reg1, RegProtoMin: fieldRegister(1)}), nil
	case Verdict:
		return e.kernel()
	}
	return nil, fmt.Errorf("expression %T: %w", e, ErrInvalid)
}

func (m IfName) kernel() []expr.Any {
	key, op := expr.MetaKeyIIFNAME, expr.CmpOpEq
	if m.Key == "oifname" {
		key = expr.MetaKeyOIFNAME
	}
	if m.Op != "" {
		op = expr.CmpOpNeq
	}
	name := make([]byte, unix.IFNAMSIZ) // compared whole, with its zeros
	copy(name, m.Name)
	return []expr.Any{&expr.Meta{Key: key, Register: reg1}, &expr.Cmp{Op: op, Register: reg1, Data: name}}
}

func (m Address) kernel() []expr.Any {
	offset := uint32(12) // RFC 791, section 3.1: source, then destination
	if m.Key == "ip daddr" {
		offset = 16
	}
	mask := binaryutil.BigEndian.PutUint32(^uint32(0) << (32 - m.Prefix.Bits()))
	return []expr.Any{
		&expr.Payload{DestRegister: reg1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4},
		&expr.Bitwise{SourceRegister: reg1, DestRegister: reg1, Len: 4, Mask: mask, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg1, Data: m.Prefix.Masked().Addr().AsSlice()},
	}
}

func (m Conntrack) kernel() ([]expr.Any, error) {
	bits := map[Conntrack]uint32{
		{"state", "established,related"}: expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED,
		{"status", "dnat"}:               1 << 5, // nf_conntrack_common.h, IPS_DST_NAT
	}
	bit, ok := bits[m]
	if !ok {
		return nil, fmt.Errorf("%s: %w", m, ErrInvalid)
	}
	key := expr.CtKeySTATE
	if m.Key == "status" {
		key = expr.CtKeySTATUS
	}
	mask := binaryutil.NativeEndian.PutUint32(bit)
	return []expr.Any{
		&expr.Ct{Register: reg1, Key: key},
		&expr.Bitwise{SourceRegister: reg1, DestRegister: reg1, Len: 4, Mask: mask, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: reg1, Data: make([]byte, 4)},
	}, nil
}

func (v Verdict) kernel() ([]expr.Any, error) {
	switch v {
	case Accept:
		return []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}}, nil
	case Drop:
		return []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}}, nil
	case Return:
		return []expr.Any{&expr.Verdict{Kind: expr.VerdictReturn}}, nil
	case Masquerade:
		return []expr.Any{&expr.Masq{}}, nil
	}
	return nil, fmt.Errorf("verdict %q: %w", v, ErrInvalid)
}

// load puts fields of the packet side by side into registers.
func load(fields []Field) []expr.Any {
	var list []expr.Any
	for i, f := range fields {
		reg := fieldRegister(i)
		switch f {
		case L4Proto:
			list = append(list, &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: reg})
		case DstAddr:
			list = append(list, &expr.Payload{DestRegister: reg, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4})
		case DstPort:
			list = append(list, &expr.Payload{DestRegister: reg, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2})
		}
	}
	return list
}
