package pdf

import (
	"bytes"
	"context"
	"slices"
	"sort"
)

// maxEdges bounds the references that are followed in one file.
const maxEdges = 20_000_000

// graph knows, for all revisions at once, which object refers to which. It is made once for a file; each version
// of an object is read once.
type graph struct {
	to       map[uint32][]edge  // by target
	versions map[uint32][]int32 // the revisions that wrote or freed an object, ascending
	pages    map[uint32]bool    // objects that are a page or a node of the page tree in some revision
	parents  map[uint32]bool    // objects that can have parts of their own kind in some revision
	edges    int
}

// edge is a reference from one version of an object.
type edge struct {
	from uint32
	rev  int32
	kind edgeKind
}

type edgeKind uint8

const (
	edgeDown edgeKind = iota // the target is a part of the source
	edgeBack                 // by its key the target is what the source is a part of
	edgeKids                 // by its key a part of a tree of pages, fields or elements
)

// buildGraph reads every version of every object.
func buildGraph(ctx context.Context, f *File) (*graph, error) {
	g := &graph{to: map[uint32][]edge{}, versions: map[uint32][]int32{}, pages: map[uint32]bool{}, parents: map[uint32]bool{}}
	for rev := range f.Revisions() {
		v := f.View(rev)
		for i, num := range f.Touched(rev-1, rev) {
			if i%1024 == 0 && ctx.Err() != nil {
				return nil, ctx.Err()
			}
			g.versions[num] = append(g.versions[num], int32(rev))
			o, ok := entryObject(v, num)
			if !ok {
				continue // unreadable: whoever reaches it is told there
			}
			if isPageNode(o) {
				g.pages[num] = true
			}
			if isParent(o) {
				g.parents[num] = true
			}
			g.collect(o, edge{from: num, rev: int32(rev)}, "", 0)
			if g.edges > maxEdges {
				return nil, tooLarge(-1, "too many references between objects")
			}
		}
	}
	return g, nil
}

// entryObject reads an object by its number; ok is false when it cannot be read.
func entryObject(v *View, num uint32) (Object, bool) {
	e, listed := v.Entry(num)
	if !listed || e.Free {
		return nil, true
	}
	o, err := v.Get(Ref{Num: num, Gen: e.Gen})
	return o, err == nil
}

// isPageNode tells pages and nodes of the page tree.
func isPageNode(o Object) bool {
	d, ok := o.(Dict)
	return ok && (d.Name("Type") == "Page" || d.Name("Type") == "Pages")
}

// isParent tells what /Parent, /P and /Pg can lead to: pages, annotations, fields, outlines, structure elements.
func isParent(o Object) bool {
	d, ok := o.(Dict)
	if !ok {
		return false
	}
	for _, key := range []Name{"Kids", "K", "First", "FT", "T", "Rect"} {
		if d[key] != nil {
			return true
		}
	}
	return isPageNode(o)
}

// collect adds the references in o.
func (g *graph) collect(o Object, from edge, key Name, depth int) {
	switch o := o.(type) {
	case Ref:
		switch key {
		case "Parent", "P", "Pg":
			from.kind = edgeBack
		case "Kids", "Pages":
			from.kind = edgeKids
		default:
			from.kind = edgeDown
		}
		g.to[o.Num] = append(g.to[o.Num], from)
		g.edges++
	case Array:
		for _, e := range o {
			g.collect(e, from, key, depth+1)
		}
	case Dict:
		for k, e := range o {
			g.collect(e, from, k, depth+1)
		}
	case *Stream:
		g.collect(o.Dict, from, "", depth+1)
	}
}

// current tells whether a version is the one that revision rev sees.
func (g *graph) current(num uint32, version int32, rev int) bool {
	all := g.versions[num]
	i := sort.Search(len(all), func(i int) bool { return int(all[i]) > rev })
	return i > 0 && all[i-1] == version
}

// back tells edges that are not followed: the source is judged by itself.
func (g *graph) back(target uint32, e edge) bool {
	return e.kind == edgeBack && g.parents[target] || g.pages[target] && e.kind != edgeKids
}

// affected gives the changed objects and all from which they are reached in revision rev, without going up by
// back references (a page and its content both name the page as their parent).
func (g *graph) affected(changed map[uint32]bool, rev int) map[uint32]bool {
	out := make(map[uint32]bool, 2*len(changed))
	queue := make([]uint32, 0, len(changed))
	for num := range changed {
		out[num] = true
		queue = append(queue, num)
	}
	for len(queue) > 0 {
		num := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		for _, e := range g.to[num] {
			if !out[e.from] && !g.back(num, e) && g.current(e.from, e.rev, rev) {
				out[e.from] = true
				queue = append(queue, e.from)
			}
		}
	}
	return out
}

// findChanged compares the objects that later revisions touch with what they were.
func (d *diff) findChanged() (map[uint32]bool, error) {
	out := map[uint32]bool{}
	for i, num := range d.f.Touched(d.old.Revision(), d.new.Revision()) {
		if i%256 == 0 && d.ctx.Err() != nil {
			return nil, d.ctx.Err()
		}
		oe, _ := d.old.Entry(num)
		ne, _ := d.new.Entry(num)
		o, ok1 := entryObject(d.old, num)
		n, ok2 := entryObject(d.new, num)
		if !ok1 || !ok2 || (o != nil || n != nil) && oe.Gen != ne.Gen || !d.sameContent(o, n) {
			out[num] = true
		}
	}
	return out, nil
}

// sameContent compares two objects as they are written, references by their numbers. 1 and 1.0 are the same.
func (d *diff) sameContent(o, n Object) bool {
	switch o := o.(type) {
	case int64:
		f, ok := n.(float64)
		return n == Object(o) || ok && f == float64(o)
	case float64:
		i, ok := n.(int64)
		return n == Object(o) || ok && o == float64(i)
	case String:
		s, ok := n.(String)
		return ok && bytes.Equal(o.B, s.B)
	case Array:
		a, ok := n.(Array)
		return ok && slices.EqualFunc(o, a, d.sameContent)
	case Dict:
		m, ok := n.(Dict)
		if !ok || len(o) != len(m) {
			return false
		}
		for k, v := range o {
			if w, ok := m[k]; !ok || !d.sameContent(v, w) {
				return false
			}
		}
		return true
	case *Stream:
		s, ok := n.(*Stream)
		return ok && d.sameContent(o.Dict, s.Dict) && d.sameBytes(o, s)
	}
	switch n.(type) {
	case String, Array, Dict, *Stream, broken:
		return false
	}
	return o == n
}

// sameBytes compares the encoded bytes of two streams.
func (d *diff) sameBytes(o, n *Stream) bool {
	if o == n || o.Offset == n.Offset && o.Length == n.Length {
		return true
	}
	if o.Length != n.Length {
		return false
	}
	a, err1 := d.old.RawData(o)
	b, err2 := d.new.RawData(n)
	return err1 == nil && err2 == nil && bytes.Equal(a, b)
}

// checkBackReferences makes up for the references that affected does not follow: an affected object that is the
// target of one must have been judged where it belongs. Else something is reached by a name like /Parent that is
// no parent.
func (d *diff) checkBackReferences() {
	for num := range d.affected {
		p := d.loose[num]
		if d.visited[num] && p == nil {
			continue
		}
		for _, e := range d.graph.to[num] {
			if !d.graph.back(num, e) || !d.graph.current(e.from, e.rev, d.old.Revision()) {
				continue
			}
			if p != nil && d.isAnnotation(e.from) || !d.reached(e.from) {
				continue
			}
			if p == nil {
				p = &place{key: "object", ref: Ref{Num: num}}
			}
			d.doubt(p, "a changed object is reached by a back reference from elsewhere")
			break
		}
	}
}

// reached tells whether an object is reached from the catalog of the signed revision. It is asked only when
// something is odd, since it reads the whole revision.
func (d *diff) reached(num uint32) bool {
	if d.reachable == nil {
		d.reachable = map[uint32]bool{}
		d.mark(d.old.Trailer()["Root"])
	}
	return d.reachable[num]
}

func (d *diff) mark(root Object) {
	stack := []Object{root}
	for len(stack) > 0 && d.step() {
		o := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		switch o := o.(type) {
		case Ref:
			if !d.reachable[o.Num] {
				d.reachable[o.Num] = true
				if target, err := d.old.Get(o); err == nil {
					stack = append(stack, target)
				}
			}
		case Array:
			stack = append(stack, o...)
		case Dict:
			for _, v := range o {
				stack = append(stack, v)
			}
		case *Stream:
			stack = append(stack, o.Dict)
		}
	}
}

// isAnnotation tells annotations and widgets of the signed revision.
func (d *diff) isAnnotation(num uint32) bool {
	o, _ := entryObject(d.old, num)
	a, ok := o.(Dict)
	return ok && a["Rect"] != nil && a.Name("Subtype") != ""
}
