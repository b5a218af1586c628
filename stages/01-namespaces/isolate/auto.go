package isolate

import (
	"bufio"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
)

// AutoMaps maps root inside to the user, and the ids from 1 on to the user's range in /etc/subuid and /etc/subgid
// (subuid(5)), as unshare(1) --map-auto --map-root-user does.
func AutoMaps(uid, gid int) (m Maps, err error) {
	name := ""
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		name = u.Username
	}
	for _, side := range []struct {
		file string
		id   int
		to   *[]Range
	}{{"/etc/subuid", uid, &m.Users}, {"/etc/subgid", gid, &m.Groups}} {
		b, err := os.ReadFile(side.file)
		if err != nil {
			return m, err
		}
		r, ok := subordinate(string(b), name, strconv.Itoa(uid))
		if !ok {
			return m, fmt.Errorf("%s gives user %s (%d) no ids", side.file, name, uid)
		}
		*side.to = []Range{{0, uint32(side.id), 1}, r}
	}
	return m, nil
}

// subordinate finds the first line "USER:FIRST:COUNT" of a user, by name or number.
func subordinate(text, name, number string) (Range, bool) {
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		f := strings.Split(strings.TrimSpace(lines.Text()), ":")
		if len(f) != 3 || f[0] != number && (name == "" || f[0] != name) {
			continue
		}
		first, err1 := strconv.ParseUint(f[1], 10, 32)
		count, err2 := strconv.ParseUint(f[2], 10, 32)
		if err1 == nil && err2 == nil && count > 0 {
			return Range{1, uint32(first), uint32(count)}, true
		}
	}
	return Range{}, false
}
