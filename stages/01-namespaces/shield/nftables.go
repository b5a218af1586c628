package shield

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"
)

// nftTables names the tables of nftables in this network namespace ("inet NAME"), by netlink, because nft(8) need not be
// installed. None where the kernel has no nf_tables or does not let us ask.
func nftTables() []string {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	order := binary.NativeEndian
	ask := make([]byte, unix.SizeofNlMsghdr+4) // struct nlmsghdr, struct nfgenmsg: all families
	order.PutUint32(ask, uint32(len(ask)))
	order.PutUint16(ask[4:], unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETTABLE)
	order.PutUint16(ask[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	if unix.Sendto(fd, ask, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}) != nil {
		return nil
	}
	var tables []string
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Read(fd, buf)
		if err != nil {
			return tables
		}
		msgs, err := syscall.ParseNetlinkMessage(buf[:n])
		if err != nil {
			return tables
		}
		for _, m := range msgs {
			if m.Header.Type == unix.NLMSG_DONE || m.Header.Type == unix.NLMSG_ERROR {
				return tables
			}
			if name := tableName(m.Data); name != "" {
				tables = append(tables, name)
			}
		}
	}
}

// tableName reads NFTA_TABLE_NAME behind the struct nfgenmsg, whose first byte is the family.
func tableName(b []byte) string {
	if len(b) < 4 {
		return ""
	}
	family := map[byte]string{unix.NFPROTO_INET: "inet", unix.NFPROTO_IPV4: "ip", unix.NFPROTO_IPV6: "ip6", unix.NFPROTO_ARP: "arp", unix.NFPROTO_NETDEV: "netdev", unix.NFPROTO_BRIDGE: "bridge"}[b[0]]
	for b = b[4:]; len(b) >= 4; {
		size, kind := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])
		if size < 4 || size > len(b) {
			return ""
		}
		if kind == unix.NFTA_TABLE_NAME && size > 5 {
			return family + " " + string(b[4:size-1]) // without its NUL
		}
		b = b[min((size+3)&^3, len(b)):]
	}
	return ""
}
