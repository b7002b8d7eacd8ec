package edxml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// node is an element of the header: small, bounded, read by local name in any order.
type node struct {
	name     string
	foreign  bool // of another namespace than the packet's
	text     strings.Builder
	children []*node
	content  int  // of a ContentTransferEncoded: its place among them
	hidden   bool // a comment or instruction stands inside
}

// ours tells whether an element counts as the packet's: of its namespace, of none, or of a prefix that was never
// declared (some systems forget to).
func ours(name xml.Name) bool {
	return name.Space == Namespace || name.Space == "" || name.Space == "edXML"
}

// builder builds the tree of one packet.
type builder struct {
	limits   Limits
	root     *node
	open     []*node
	elements int
	contents int
}

// readTree reads the elements under the root.
func readTree(g *gate, limits Limits) (*node, error) {
	d := xml.NewDecoder(g)
	b := &builder{limits: limits}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		switch {
		case g.failed != nil:
			return nil, g.failed
		case AsRefusal(err) != nil:
			return nil, err
		case err != nil:
			return nil, refuse(Malformed, "", "%v", err)
		}
		if err := b.take(token); err != nil {
			return nil, err
		}
	}
	if b.root == nil {
		return nil, refuse(Malformed, "", "the packet is empty")
	}
	return b.root, nil
}

func (b *builder) take(token xml.Token) error {
	switch t := token.(type) {
	case xml.StartElement:
		return b.start(t)
	case xml.EndElement:
		b.open = b.open[:len(b.open)-1]
	case xml.CharData:
		if len(b.open) > 0 {
			b.open[len(b.open)-1].text.Write(t)
		} else if len(bytes.TrimSpace(t)) > 0 {
			return refuse(Malformed, "", "there is text outside of the packet")
		}
	case xml.Comment, xml.ProcInst:
		if len(b.open) > 0 {
			b.open[len(b.open)-1].hidden = true
		}
	}
	return nil
}

func (b *builder) start(t xml.StartElement) error {
	b.elements++
	if b.elements > b.limits.Elements || len(b.open) >= b.limits.Depth || len(t.Attr) > b.limits.Attributes {
		return refuse(TooLarge, t.Name.Local, "is over the %d elements, the depth of %d or the %d attributes that a packet may have",
			b.limits.Elements, b.limits.Depth, b.limits.Attributes)
	}
	n := &node{name: t.Name.Local, foreign: !ours(t.Name)}
	if n.name == contentElement {
		n.content = b.contents
		b.contents++
	}
	switch {
	case len(b.open) > 0:
		parent := b.open[len(b.open)-1]
		parent.children = append(parent.children, n)
	case b.root != nil:
		return refuse(Malformed, n.name, "stands after the end of the packet")
	case t.Name.Space != Namespace || t.Name.Local != "edXML":
		return refuse(WrongRoot, t.Name.Local, "in namespace %q is not an edXML packet of QCVN 102:2016", t.Name.Space)
	default:
		b.root = n
	}
	b.open = append(b.open, n)
	return nil
}

// all gives the children of a name.
func (n *node) all(name string) []*node {
	var found []*node
	if n == nil {
		return nil
	}
	for _, c := range n.children {
		if !c.foreign && c.name == name {
			found = append(found, c)
		}
	}
	return found
}

// reader walks a tree and keeps the first refusal, so that the mapping reads as a list.
type reader struct{ err error }

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// one gives the only child of a name, nil where there is none; a second one is refused, since two readers would choose
// differently.
func (r *reader) one(n *node, name string) *node {
	found := n.all(name)
	if len(found) > 1 {
		r.fail(refuse(Duplicate, name, "stands %d times in %s", len(found), n.name))
	}
	if len(found) == 0 {
		return nil
	}
	return found[0]
}

// value gives the text of an element without children.
func (r *reader) value(n *node) Text {
	if n == nil {
		return ""
	}
	if n.hidden || len(n.children) > 0 {
		r.fail(refuse(HiddenMarkup, n.name, "has markup inside its value"))
	}
	return Text(norm.NFC.String(strings.TrimSpace(n.text.String())))
}

func (r *reader) text(n *node, name string) Text { return r.value(r.one(n, name)) }

func (r *reader) texts(n *node, list, item string) []Text {
	var out []Text
	for _, c := range r.one(n, list).all(item) {
		out = append(out, r.value(c))
	}
	return out
}
