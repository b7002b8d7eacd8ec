package peer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"sort"
	"strconv"
	"strings"

	"vanthu/exchange"
)

// A day's lines between two hubs are the leaves of a tree of sixteen branches at each node: a line's place is the
// SHA-256 of what names it, its value that of what it says. Both sides build the same tree, and going down only where
// two nodes differ finds every line that differs. Hashes are cut to 16 bytes on the way.
const (
	digits   = "0123456789abcdef"
	hashCut  = 32 // hex digits
	leafMost = 8  // lines below which a node is told in full
)

// leaf is one line: the document at one recipient.
type leaf struct {
	place [sha256.Size]byte
	value [hashCut / 2]byte
	line  *exchange.RegisterLine
}

// hashed is the SHA-256 of parts, a line feed behind each but the last; buffer is for reuse.
func hashed(buffer []byte, parts ...string) ([sha256.Size]byte, []byte) {
	buffer = buffer[:0]
	for i, part := range parts {
		if i > 0 {
			buffer = append(buffer, '\n')
		}
		buffer = append(buffer, part...)
	}
	return sha256.Sum256(buffer), buffer
}

// leafOf names a line by document and both agencies. The ids of documents are random, so that a place tells nothing to
// whoever has not the document.
func leafOf(l *exchange.RegisterLine, buffer []byte) (leaf, []byte) {
	out := leaf{line: l}
	out.place, buffer = hashed(buffer, "place", string(l.Document), string(l.From), string(l.To))
	var value [sha256.Size]byte
	value, buffer = hashed(buffer, "line", string(l.Document), string(l.From), string(l.To), l.Code, string(l.Digest), strconv.Itoa(l.ArrivalNumber))
	copy(out.value[:], value[:])
	return out, buffer
}

// at is the place as it travels.
func (l *leaf) at() string { return hex.EncodeToString(l.place[:hashCut/2]) }

func (l *leaf) said() string { return hex.EncodeToString(l.value[:]) }

// tree is the lines of one day in the order of their places.
type tree struct{ leaves []leaf }

func newTree(lines []exchange.RegisterLine) *tree {
	t := &tree{leaves: make([]leaf, len(lines))}
	var buffer []byte
	for i := range lines {
		t.leaves[i], buffer = leafOf(&lines[i], buffer)
	}
	slices.SortFunc(t.leaves, func(a, b leaf) int { return bytes.Compare(a.place[:], b.place[:]) })
	return t
}

// bound gives the first (fill 0) or last (fill f) place that begins with the hex digits of a prefix.
func bound(prefix, fill string) []byte {
	b, err := hex.DecodeString(prefix + strings.Repeat(fill, 2*sha256.Size-len(prefix)))
	if err != nil {
		panic("cannot happen: a prefix is hex digits: " + err.Error())
	}
	return b
}

// under gives the leaves whose places begin with a prefix of hex digits.
func (t *tree) under(prefix string) []leaf {
	first, last := bound(prefix, "0"), bound(prefix, "f")
	from := sort.Search(len(t.leaves), func(i int) bool { return bytes.Compare(t.leaves[i].place[:], first) >= 0 })
	to := sort.Search(len(t.leaves), func(i int) bool { return bytes.Compare(t.leaves[i].place[:], last) > 0 })
	return t.leaves[from:to]
}

// node is a part of a tree: how many lines, and a hash of all of them.
type node struct {
	Prefix string `json:"p"`
	Count  int    `json:"n"`
	Hash   string `json:"h,omitempty"`
	Lines  []line `json:"l,omitempty"` // in full, where they are few
}

// line is a leaf as it travels.
type line struct {
	Place string `json:"p"` // cut to hashCut digits
	Value string `json:"v"`
}

// hash is that of a node: of its leaves in order.
func hash(leaves []leaf) string {
	sum := sha256.New()
	for i := range leaves {
		sum.Write(leaves[i].place[:])
		sum.Write(leaves[i].value[:])
	}
	return hex.EncodeToString(sum.Sum(nil))[:hashCut]
}

// node gives a node, with its lines where they are few.
func (t *tree) node(prefix string, full bool) node {
	leaves := t.under(prefix)
	n := node{Prefix: prefix, Count: len(leaves)}
	if len(leaves) == 0 {
		return n
	}
	n.Hash = hash(leaves)
	if full && len(leaves) <= leafMost {
		n.Hash = ""
		for i := range leaves {
			n.Lines = append(n.Lines, line{leaves[i].at(), leaves[i].said()})
		}
	}
	return n
}

// children gives the sixteen nodes under a prefix, those without lines left out.
func (t *tree) children(prefix string) []node {
	var out []node
	for _, d := range digits {
		if n := t.node(prefix+string(d), true); n.Count > 0 {
			out = append(out, n)
		}
	}
	return out
}

// compared is what comparing two sets of children comes to.
type compared struct {
	descend []string // prefixes to go down into
	mine    []leaf   // lines that the other side has not or has otherwise
	theirs  []line   // the same seen from there
}

// compare holds the children that the other side tells of a prefix against one's own.
func (t *tree) compare(prefix string, theirs []node) (c compared) {
	told := make(map[string]node, len(theirs))
	for _, n := range theirs {
		if strings.HasPrefix(n.Prefix, prefix) && len(n.Prefix) == len(prefix)+1 {
			told[n.Prefix] = n
		}
	}
	for _, d := range digits {
		at := prefix + string(d)
		mine, n := t.under(at), told[at]
		switch {
		case n.Count == 0:
			c.mine = append(c.mine, mine...)
		case n.Lines == nil && n.Count > 0 && len(at) < hashCut: // deeper there are lines only, whatever the other hub says
			if len(mine) != n.Count || hash(mine) != n.Hash {
				c.descend = append(c.descend, at)
			}
		default:
			c.lines(mine, n.Lines)
		}
	}
	return c
}

func (c *compared) lines(mine []leaf, theirs []line) {
	there := make(map[string]string, len(theirs))
	for _, l := range theirs {
		there[l.Place] = l.Value
	}
	for _, l := range mine {
		if value, ok := there[l.at()]; ok && value == l.said() {
			delete(there, l.at())
			continue
		}
		c.mine = append(c.mine, l)
	}
	for _, l := range theirs {
		if _, ok := there[l.Place]; ok {
			c.theirs = append(c.theirs, l)
		}
	}
}
