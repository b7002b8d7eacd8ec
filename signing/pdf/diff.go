package pdf

import (
	"context"
)

// Outcome is what the changes made after a signature amount to.
type Outcome string

// The outcomes, from best to worst.
const (
	OutcomeNone      Outcome = "none"      // nothing that a reader can reach has changed
	OutcomePermitted Outcome = "permitted" // every change is explained by a rule
	OutcomeUnclear   Outcome = "unclear"   // a human must look: the change is of a permitted kind but can mislead
	OutcomeForbidden Outcome = "forbidden" // a change that no rule explains
)

// Finding is one change, or one group of changes with a common cause.
type Finding struct {
	Outcome Outcome
	Object  Ref    // the changed object, or the one that holds the change; zero for the trailer
	Path    string // where it is, from the trailer: "Root/Pages/Kids[0]/Contents"
	Rule    string // the rule that explains or forbids it, e.g. "dss: validation data added"
}

// Changes is the difference between a signed revision and the end of the file.
type Changes struct {
	Outcome  Outcome // the worst of the findings
	Findings []Finding
}

// CompareOptions says whose signature is judged.
type CompareOptions struct {
	Signature Field   // the signature that closes the revision
	Fields    []Field // all signatures of the file, as of [File.Signatures]; nil: Compare asks for them
}

// Compare judges what the revisions after signed have changed.
func Compare(ctx context.Context, f *File, signed int, o CompareOptions) (Changes, error) {
	return NewComparer(f).Compare(ctx, signed, o)
}

// Comparer compares the revisions of one file. What it learns of the file is
// used again, so that further signatures cost only what changed since.
type Comparer struct{ f *File }

// NewComparer returns a Comparer for f.
func NewComparer(f *File) *Comparer { return &Comparer{f: f} }

// Compare is [Compare].
func (c *Comparer) Compare(ctx context.Context, signed int, o CompareOptions) (Changes, error) {
	return Changes{Outcome: OutcomeNone}, ctx.Err()
}
