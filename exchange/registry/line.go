package registry

import (
	"context"
	"fmt"
	"slices"
	"time"

	"vanthu/storage/sqldb"
)

// Succession says that one agency continues another (kế thừa), with the
// statement that the successor has signed.
type Succession struct {
	Predecessor AgencyID  `json:"predecessor"`
	Successor   AgencyID  `json:"successor,omitempty"` // "" = closed, nobody continues it
	Act         string    `json:"act"`                 // merge, split, recode, close
	At          time.Time `json:"at"`
	Heir        bool      `json:"heir"`                // takes what was under way
	Statement   []byte    `json:"statement,omitempty"` // canonical JSON
	Signature   []byte    `json:"signature,omitempty"` // detached CMS over Statement, DER
}

// Successors gives who continues an agency, and Predecessors whom it continues.
func (r *Registry) Successors(ctx context.Context, id AgencyID) ([]Succession, error) {
	return r.successions(ctx, `predecessor`, id)
}

// Predecessors gives the agencies that an agency continues, oldest first.
func (r *Registry) Predecessors(ctx context.Context, id AgencyID) ([]Succession, error) {
	return r.successions(ctx, `successor`, id)
}

func (r *Registry) successions(ctx context.Context, column string, id AgencyID) (out []Succession, err error) {
	err = r.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		out, err = selectSuccessions(ctx, tx, column, id)
		return err
	})
	return out, wrap("reading successions", err)
}

// Line gives an agency and all that ended and left their business to it, over
// any number of steps, in code order, in the caller's transaction.
func (r *Registry) Line(ctx context.Context, tx *sqldb.Tx, id AgencyID) ([]AgencyID, error) {
	return selectLine(ctx, tx, id)
}

// Lines is Line of each of many, without repeats.
func (r *Registry) Lines(ctx context.Context, tx *sqldb.Tx, list []AgencyID) ([]AgencyID, error) {
	heirs, err := selectLinks(ctx, tx, "heir")
	if err != nil {
		return nil, err
	}
	in := make(map[AgencyID]bool, len(list))
	for _, id := range list {
		in[id] = true
	}
	out := slices.Clone(list)
	for id, heir := range heirs {
		for range maxSuccession {
			if in[heir] || heir == "" {
				break
			}
			heir = heirs[heir]
		}
		if heir != "" && !in[id] {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out, nil
}

// Holds tells, in the caller's transaction, whether the business of agency `of`
// is now that of id: its own, or one that ended and left it to id.
func (r *Registry) Holds(ctx context.Context, tx *sqldb.Tx, id, of AgencyID) (bool, error) {
	for range maxSuccession {
		if id == of {
			return true, nil
		}
		a, err := selectAgency(ctx, tx, of)
		if err != nil || a == nil || a.Heir == "" {
			return false, err
		}
		of = a.Heir
	}
	return false, fmt.Errorf("the successors of %s do not end", of)
}

// Ending is how agencies end in one act: Closed end at At, Heirs says who takes
// over from each ("" = nobody), Others are further successors (of a split).
// Founded are agencies that begin with the act.
type Ending struct {
	Act      string // merge, split, recode, close
	Closed   []AgencyID
	Heirs    map[AgencyID]AgencyID
	Others   map[AgencyID][]AgencyID
	Founded  []Agency
	At       time.Time
	Children bool // agencies below a closed one go below its heir
	// Prove makes the successor's statement about one predecessor; its result is
	// stored as given. It does no SQL and may be called again.
	Prove func(predecessor, successor AgencyID) (statement, signature []byte, err error)
}

// End writes an ending in the caller's transaction: rows, history, successions;
// people, and the children where asked, go to the heir. What is under way is the
// caller's. It gives the closed agencies as they were. Whoever calls ends with
// Forget.
func (r *Registry) End(ctx context.Context, tx *sqldb.Tx, by Actor, e Ending) ([]Agency, error) {
	now := r.now()
	for _, a := range e.Founded {
		if err := a.clean(); err != nil {
			return nil, err
		}
		if err := mayManage(ctx, tx, by, a.Parent, a.Parent != ""); err != nil {
			return nil, err
		}
		if err := freeCodes(ctx, tx, a); err != nil {
			return nil, err
		}
		a.ValidFrom = e.At
		if err := insertAgencies(ctx, tx, []Agency{a}, by.Tag(), now); err != nil {
			return nil, err
		}
	}
	closed := make([]Agency, 0, len(e.Closed))
	for _, id := range e.Closed {
		old, err := r.endOne(ctx, tx, by, e, id, now)
		if err != nil {
			return nil, err
		}
		closed = append(closed, *old)
	}
	return closed, nil
}

// endOne closes one agency and hands its people and children over.
func (r *Registry) endOne(ctx context.Context, tx *sqldb.Tx, by Actor, e Ending, id AgencyID, now time.Time) (*Agency, error) {
	if err := mayManage(ctx, tx, by, id, true); err != nil {
		return nil, err
	}
	old, err := selectAgency(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	if old.ID != id || !old.ActiveAt(e.At) || !old.ValidTo.IsZero() {
		return nil, NewError(KindConflict, fmt.Sprintf("Cơ quan %s đã hoặc sẽ kết thúc theo một việc khác.", id),
			fmt.Sprintf("The agency %s has ended, or ends by another act.", id))
	}
	heir := e.Heirs[id]
	if err := r.soundHeir(ctx, tx, e, id, heir); err != nil {
		return nil, err
	}
	to := *old
	to.ValidTo, to.Heir = e.At, heir
	changes := []change{{*old, to}}
	children, err := moveChildren(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	for _, child := range children {
		if heir == "" || !e.Children || slices.Contains(e.Closed, child.ID) || child.ID == heir || !child.ValidTo.IsZero() {
			continue
		}
		below := child
		below.Parent = heir
		changes = append(changes, change{child, below})
	}
	if err := updateAgencies(ctx, tx, changes, by.Tag(), now); err != nil {
		return nil, err
	}
	if heir != "" {
		if err := noCycle(ctx, tx, heir); err != nil {
			return nil, err
		}
		if err := movePeople(ctx, tx, id, heir, now); err != nil {
			return nil, err
		}
		if e.Act == "recode" {
			if err := copyKeys(ctx, tx, AgencyOwner(id), AgencyOwner(heir)); err != nil {
				return nil, err
			}
		}
	}
	return old, e.record(ctx, tx, id, heir)
}

// record writes who continues an agency, each with its statement.
func (e *Ending) record(ctx context.Context, tx *sqldb.Tx, id, heir AgencyID) (err error) {
	for _, to := range append([]AgencyID{heir}, e.Others[id]...) {
		s := Succession{Predecessor: id, Successor: to, Act: e.Act, At: e.At, Heir: to == heir && to != ""}
		if e.Prove != nil && to != "" {
			if s.Statement, s.Signature, err = e.Prove(id, to); err != nil {
				return err
			}
		}
		if err := insertSuccession(ctx, tx, s); err != nil {
			return err
		}
	}
	return nil
}

// soundHeir checks that who takes over exists, goes on, and is not the one that ends.
func (r *Registry) soundHeir(ctx context.Context, tx *sqldb.Tx, e Ending, id, heir AgencyID) error {
	for _, to := range append([]AgencyID{heir}, e.Others[id]...) {
		if to == "" {
			continue
		}
		a, err := selectAgency(ctx, tx, to)
		if err != nil {
			return err
		}
		if a == nil || a.ID != to || slices.Contains(e.Closed, to) || !a.ActiveAt(e.At) || !a.ValidTo.IsZero() {
			return NewError(KindInvalid, fmt.Sprintf("Cơ quan kế thừa %q không có, hoặc cũng kết thúc.", to),
				fmt.Sprintf("The successor %q is unknown or ends as well.", to))
		}
	}
	return nil
}

// Forget drops what is kept in memory about agencies, people and sessions.
func (r *Registry) Forget() {
	r.agencies.clear()
	r.people.clear()
	r.sessions.clear()
	r.certificates.clear()
}

// Check reads the registry's own tables and reports what does not fit: loops of
// parents or successors, links to agencies that are not there, codes of two
// agencies, versions with gaps. The error is I/O.
func (r *Registry) Check(ctx context.Context, yield func(problem string)) error {
	return wrap("checking the registry", r.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		problems, err := selectDangling(ctx, tx)
		if err != nil {
			return err
		}
		for _, p := range problems {
			yield(p)
		}
		for column, most := range map[string]int{"parent": maxDepth, "heir": maxSuccession} {
			links, err := selectLinks(ctx, tx, column)
			if err != nil {
				return err
			}
			for _, id := range endless(links, most) {
				yield(fmt.Sprintf("agency %s: following %s does not end", id, column))
			}
		}
		last, count, highest, err := selectVersionGaps(ctx, tx)
		if err != nil {
			return err
		}
		if last != highest || count != highest {
			yield(fmt.Sprintf("versions of the registry: %d kept, highest %d, counter %d", count, highest, last))
		}
		return nil
	}))
}

// endless gives where a chain of links is longer than it may be, in order.
func endless(links map[AgencyID]AgencyID, most int) (out []AgencyID) {
	for from := range links {
		steps := 0
		for at, ok := links[from]; ok && steps <= most; at, ok = links[at] {
			steps++
		}
		if steps > most {
			out = append(out, from)
		}
	}
	slices.Sort(out)
	return out
}
