package signing

import (
	"fmt"
	"slices"
	"strings"

	"vanthu/signing/pdf"
	"vanthu/signing/pki"
)

// judgeChanges judges what was added to the file after the item's revision. An error means that the context ended.
func (v *verifier) judgeChanges(it *item) error {
	it.changes = ChangesUnclear
	if it.field.Revision < 0 {
		return nil // the reasons already say that the signature closes no revision
	}
	it.changes = ChangesNone
	if it.field.Revision < len(v.f.Revisions())-1 {
		if err := v.compare(it); err != nil {
			return err
		}
	}
	v.judgeStructure(it)
	return nil
}

// compare has the later revisions judged object by object.
func (v *verifier) compare(it *item) error {
	changes, err := v.comparer.Compare(v.ctx, it.field.Revision, pdf.CompareOptions{Signature: *it.field, Fields: v.fields})
	if stopped(err) || v.ctx.Err() != nil {
		return err
	}
	v.describeChanges(it, changes)
	worst := ""
	for _, f := range changes.Findings {
		if f.Outcome == changes.Outcome {
			worst = f.Rule + ", " + f.Path
			break
		}
	}
	switch {
	case err != nil:
		it.changes = ChangesUnclear
		it.fault(Unclear, pki.Reason{Code: codeChangesUnclear, Sub: pki.Generic, Detail: err.Error()})
	case changes.Outcome == pdf.OutcomeNone:
		it.changes = ChangesPermitted // there is a later revision, though nothing in it shows
	case changes.Outcome == pdf.OutcomePermitted:
		it.changes = ChangesPermitted
		it.reasons = append(it.reasons, pki.Reason{Code: codePermitted, Detail: worst})
	case changes.Outcome == pdf.OutcomeForbidden:
		it.changes = ChangesForbidden
		it.fault(Altered, pki.Reason{Code: codeForbidden, Sub: pki.FormatFailure, Detail: worst})
	default:
		it.changes = ChangesUnclear
		sub := pki.Generic
		if strings.HasPrefix(worst, pdf.RuleLockedFill) {
			sub = pki.SigConstraints
		}
		it.fault(Unclear, pki.Reason{Code: codeChangesUnclear, Sub: sub, Detail: worst})
	}
	return nil
}

// judgeStructure takes the oddities of the file that stand after the signed bytes.
func (v *verifier) judgeStructure(it *item) {
	from := it.field.Covered()
	own := v.f.Revisions()[it.field.Revision].Start
	for _, p := range v.f.Problems() {
		unsafe := p.Offset < 0 || p.Offset >= from || p.Code == pdf.ProblemBoundary && p.Offset >= own
		if !unsafe {
			continue // it was signed as it is
		}
		switch p.Code {
		case pdf.ProblemTrailing:
			it.changes = ChangesForbidden
			it.fault(Altered, pki.Reason{Code: codeTrailing, Sub: pki.FormatFailure, Detail: p.Detail})
		default:
			if it.changes != ChangesForbidden {
				it.changes = ChangesUnclear
			}
			it.fault(Unclear, pki.Reason{Code: codeAmbiguous, Sub: pki.Generic, Detail: fmt.Sprintf("%s, byte %d", p, p.Offset)})
		}
	}
}

// maxChanges bounds the changes that a report lists.
const maxChanges = 50

// describeChanges lists what was changed, and on which pages it can be seen.
func (v *verifier) describeChanges(it *item, changes pdf.Changes) {
	for _, f := range changes.Findings {
		page := v.pageNumber(f.Page)
		if page > 0 && !slices.Contains(it.out.ChangedPages, page) {
			it.out.ChangedPages = append(it.out.ChangedPages, page)
		}
		if len(it.out.Changes) < maxChanges {
			it.out.Changes = append(it.out.Changes, Change{Outcome: string(f.Outcome), Object: f.Object.Num, Path: f.Path, Rule: f.Rule, Page: page})
		}
	}
	slices.Sort(it.out.ChangedPages)
}

// pageNumber counts from 1; 0 when the object is no page.
func (v *verifier) pageNumber(ref pdf.Ref) int {
	if ref == (pdf.Ref{}) {
		return 0
	}
	if v.pages == nil {
		v.pages = map[pdf.Ref]int{}
		// What cannot be read has no numbers; the comparison has told of it.
		_ = v.f.Latest().Pages(func(i int, ref pdf.Ref, _ pdf.Dict) bool {
			v.pages[ref] = i + 1
			return true
		})
	}
	return v.pages[ref]
}
