package pdf

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Outcome is what the changes made after a signature amount to.
type Outcome string

// The outcomes, from best to worst.
const (
	OutcomeNone      Outcome = "none"      // nothing that a reader can reach has changed
	OutcomePermitted Outcome = "permitted" // every change is explained by a rule
	OutcomeUnclear   Outcome = "unclear"   // a person must look: the change may be permitted and may mislead
	OutcomeForbidden Outcome = "forbidden" // a change that no rule explains
)

// rank orders outcomes by how bad they are.
func (o Outcome) rank() int {
	return slices.Index([]Outcome{OutcomeNone, OutcomePermitted, OutcomeUnclear, OutcomeForbidden}, o)
}

// Finding is one change, or a group of changes with one cause.
type Finding struct {
	Outcome Outcome
	Object  Ref    // the object that holds the change; zero for the trailer
	Path    string // the way to it: "Root/Pages/Kids[0]/Contents"
	Rule    string // what explains or forbids it, e.g. "dss: validation data"
	Page    Ref    // the page on which it can be seen; zero when on none, or on many
}

// String is the finding in one line.
func (f Finding) String() string {
	return fmt.Sprintf("%s: %s at %s (object %d)", f.Outcome, f.Rule, f.Path, f.Object.Num)
}

// Changes is the difference between a signed revision and the end of the file.
type Changes struct {
	Outcome  Outcome // the worst of the findings
	Findings []Finding
}

// CompareOptions says whose signature is judged.
type CompareOptions struct {
	Signature Field   // the signature that closes the revision; what binds it is read from that revision
	Fields    []Field // all signatures of the file, as of [File.Signatures]
}

// maxFindings bounds the findings of one comparison; the outcome counts all.
const maxFindings = 200

// Compare judges what the revisions after signed have changed, as the document is seen from its catalog at the
// end of the file. Everything that is reached from the catalog must be as it was signed, unless a rule permits
// the change: validation data and document time stamps always, filling in forms and signing unless DocMDP or a
// field lock forbids it, annotations where DocMDP permits them or there is none (ISO 32000-2 §12.8.2, ETSI EN
// 319 142-1 §5.4). An object that is reached on several ways must be explained on each of them.
//
// The restrictions are those of the signatures in the signed revision, each tightening the others. Errors are
// of reading the file; a change that cannot be judged is [OutcomeUnclear].
func Compare(ctx context.Context, f *File, signed int, o CompareOptions) (Changes, error) {
	return NewComparer(f).Compare(ctx, signed, o)
}

// Comparer compares the revisions of one file. What it learns of the file it uses again, so that each further
// signature costs only what was changed since. It is not safe for concurrent use.
type Comparer struct {
	f     *File
	graph *graph
}

// NewComparer gives a Comparer for f.
func NewComparer(f *File) *Comparer { return &Comparer{f: f} }

// Compare is the function [Compare].
func (c *Comparer) Compare(ctx context.Context, signed int, _ CompareOptions) (Changes, error) {
	older, newer := c.f.View(signed), c.f.Latest()
	if older == nil {
		return Changes{}, fmt.Errorf("pdf: comparing: the file has no revision %d", signed)
	}
	if signed == newer.Revision() {
		return Changes{Outcome: OutcomeNone}, nil
	}
	d := &diff{ctx: ctx, f: c.f, old: older, new: newer, seen: map[seenKey]bool{}, visited: map[uint32]bool{},
		loose: map[uint32]*place{}, kept: map[Ref]bool{}, differs: map[Ref]bool{}, fields: map[uint32]bool{}, addedAnnots: map[Ref]bool{}, removedAnnots: map[Ref]bool{}}
	if err := d.run(c); err != nil {
		return Changes{}, fmt.Errorf("pdf: comparing revision %d with the last: %w", signed, err)
	}
	return d.changes(), nil
}

// seenKey names a judgement that need not be made twice.
type seenKey struct {
	old, new Ref
	rule     string
}

// diff is one comparison.
type diff struct {
	ctx      context.Context //nolint:containedctx // lives as long as one call
	f        *File
	old, new *View
	graph    *graph
	bound    restrictions

	changed  map[uint32]bool // objects whose own content differs
	affected map[uint32]bool // those and all that reach them in the signed revision
	seen     map[seenKey]bool
	visited  map[uint32]bool   // objects that were judged, on whatever way
	fields   map[uint32]bool   // form fields and widgets that were judged as such
	loose    map[uint32]*place // annotations that were allowed to change altogether

	kept, differs map[Ref]bool // what unchanged found out

	addedAnnots, removedAnnots map[Ref]bool
	reachable                  map[uint32]bool // see reached

	findings []Finding
	worst    Outcome
	steps    int
	stop     error
}

// run makes the comparison.
func (d *diff) run(c *Comparer) error {
	d.worst = OutcomeNone
	var err error
	if d.changed, err = d.findChanged(); err != nil {
		return err
	}
	if len(d.changed) == 0 && d.sameContent(d.old.Trailer()["Root"], d.new.Trailer()["Root"]) {
		return nil // an update that updates nothing
	}
	if c.graph == nil {
		if c.graph, err = buildGraph(d.ctx, d.f); err != nil {
			return err
		}
	}
	d.graph = c.graph
	d.affected = d.graph.affected(d.changed, d.old.Revision())
	if d.bound, err = restrictionsAt(d.f, d.old); err != nil {
		return err
	}
	d.trailer()
	if d.stop != nil {
		return d.stop
	}
	d.checkBackReferences()
	return d.ctx.Err()
}

// changes sums up.
func (d *diff) changes() Changes {
	slices.SortStableFunc(d.findings, func(a, b Finding) int { return b.Outcome.rank() - a.Outcome.rank() })
	return Changes{Outcome: d.worst, Findings: d.findings}
}

// note records a finding.
func (d *diff) note(o Outcome, p *place, rule string) {
	if o.rank() > d.worst.rank() {
		d.worst = o
	}
	found := Finding{Outcome: o, Object: p.object(), Path: p.String(), Rule: rule, Page: d.pageOf(p)}
	if len(d.findings) >= maxFindings {
		if o.rank() <= d.findings[maxFindings-1].Outcome.rank() {
			return
		}
		d.findings = d.findings[:maxFindings-1] // the worst matter more
	}
	if !slices.Contains(d.findings, found) {
		d.findings = append(d.findings, found)
	}
}

// pageOf finds the page to which a place belongs: one that it lies below, or the /P of an annotation there.
func (d *diff) pageOf(p *place) Ref {
	for ; p != nil; p = p.up {
		if p.ref == (Ref{}) {
			continue
		}
		o, ok := d.in(d.new, p.ref).(Dict)
		if !ok {
			continue
		}
		if o.Name("Type") == "Page" {
			return p.ref
		}
		if page, ok := o["P"].(Ref); ok && o.Name("Subtype") != "" {
			return page
		}
	}
	return Ref{}
}

func (d *diff) permit(p *place, rule string) { d.note(OutcomePermitted, p, rule) }
func (d *diff) forbid(p *place, rule string) { d.note(OutcomeForbidden, p, rule) }
func (d *diff) doubt(p *place, rule string)  { d.note(OutcomeUnclear, p, rule) }

// place is where the comparison stands; the way there leads over up.
type place struct {
	up  *place
	key string // "/Kids", "[3]"
	ref Ref    // the indirect object here, if any
}

// at goes on to an entry of a dictionary; o is its value.
func (p *place) at(key Name, o Object) *place {
	ref, _ := o.(Ref)
	return &place{up: p, key: "/" + string(key), ref: ref}
}

// item goes on to an element of an array.
func (p *place) item(i int, o Object) *place {
	ref, _ := o.(Ref)
	return &place{up: p, key: fmt.Sprintf("[%d]", i), ref: ref}
}

// object is the indirect object in which p lies.
func (p *place) object() Ref {
	for ; p != nil; p = p.up {
		if p.ref != (Ref{}) {
			return p.ref
		}
	}
	return Ref{}
}

// String is the way from the trailer.
func (p *place) String() string {
	var parts []string
	for ; p != nil; p = p.up {
		parts = append(parts, p.key)
	}
	slices.Reverse(parts)
	return strings.TrimPrefix(strings.Join(parts, ""), "/")
}
