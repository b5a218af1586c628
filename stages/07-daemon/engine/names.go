package engine

import (
	"crypto/rand"
	"encoding/hex"
	"math/big"
	"regexp"
	"strconv"
)

// validName is Docker's rule for names; a name is also a single path component (security rule R10).
func validName(name string) bool {
	return regexp.MustCompile(`^/?[a-zA-Z0-9][a-zA-Z0-9_.-]+$`).MatchString(name)
}

func newID() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b)
}

// randomName makes adjective_noun; later tries add a digit.
func randomName(try int) string {
	name := pick(adjectives()) + "_" + pick(nouns())
	if try > 0 {
		name += strconv.Itoa(try)
	}
	return name
}

func pick(list []string) string {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(len(list))))
	if err != nil {
		return list[0]
	}
	return list[n.Int64()]
}

func adjectives() []string {
	return []string{
		"able", "amber", "azure", "bold", "brave", "bright", "brisk", "calm", "candid", "cheerful", "clear", "clever",
		"coastal", "copper", "cosy", "crisp", "daring", "deep", "eager", "early", "fair", "fast", "fearless", "fine",
		"fleet", "fond", "fresh", "gentle", "glad", "golden", "grand", "happy", "hardy", "honest", "humble", "jolly",
		"keen", "kind", "large", "light", "lively", "loyal", "lucky", "mellow", "merry", "mighty", "misty", "modest",
		"neat", "nimble", "noble", "patient", "plain", "polite", "proud", "quick", "quiet", "rapid", "ready", "robust",
		"rosy", "salty", "serene", "sharp", "shiny", "silent", "silver", "smooth", "snug", "solid", "sound", "steady",
		"stout", "sunny", "swift", "tidy", "tough", "trusty", "upright", "vast", "vivid", "warm", "wise", "witty",
	}
}

// nouns are things of ships and harbours.
func nouns() []string {
	return []string{
		"anchor", "atoll", "ballast", "bay", "beacon", "berth", "bollard", "boom", "bow", "breeze", "bridge", "buoy",
		"cabin", "canal", "canoe", "capstan", "captain", "chart", "cleat", "clipper", "compass", "coral", "cove",
		"crane", "crew", "current", "cutter", "davit", "deck", "delta", "dinghy", "dock", "dolphin", "ferry", "fjord",
		"fleet", "frigate", "galley", "gangway", "gull", "halyard", "harbour", "hatch", "helm", "hull", "island",
		"jetty", "kayak", "keel", "ketch", "lagoon", "lantern", "lighthouse", "lock", "lugger", "mast", "mooring",
		"oar", "otter", "pelican", "pier", "pilot", "port", "quay", "raft", "reef", "rigging", "rudder", "sail",
		"schooner", "sextant", "shoal", "skiff", "slipway", "sloop", "sound", "spar", "starboard", "stern", "strait",
		"surf", "tide", "tiller", "trawler", "tug", "wharf", "whale", "winch", "yawl",
	}
}
