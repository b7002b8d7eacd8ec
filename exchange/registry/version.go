package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"vanthu/storage/sqldb"
)

// Op is what a delta does to an agency, as in getSynchronizeUnit of the national axis.
type Op string

// The operations. A closed agency is told as DELETE; its row and its history stay.
const (
	OpCreate Op = "CREATE"
	OpModify Op = "MODIFY"
	OpDelete Op = "DELETE"
)

// change is one agency before and after.
type change struct{ from, to Agency }

// act tells the change in a word of Deltas.
func (c change) act() string {
	if !c.to.ValidTo.IsZero() {
		return string(OpDelete)
	}
	return string(OpModify)
}

// Delta is what became of one agency between two versions of the registry
// (đồng bộ danh mục cơ quan): the agency as it is at Version.
type Delta struct {
	Version int64     `json:"version"`
	Op      Op        `json:"op"`
	Agency  Agency    `json:"agency"`
	At      time.Time `json:"at"`
}

// Version gives the number of the registry's last change; 0 = it is empty.
func (r *Registry) Version(ctx context.Context) (v int64, err error) {
	err = r.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		v, err = selectVersion(ctx, tx)
		return err
	})
	return v, wrap("reading the registry's version", err)
}

// Deltas gives, in version order, each agency that changed after version since,
// as it is now (several changes of one agency are one delta). limit 0 = 1000, at
// most 10,000; a shorter answer is the last page, and the Version of its last
// delta is where to go on.
func (r *Registry) Deltas(ctx context.Context, since int64, limit int) (out []Delta, err error) {
	if limit <= 0 {
		limit = 1000
	}
	err = r.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		out, err = selectChanged(ctx, tx, since, min(limit, 10_000))
		return err
	})
	return out, wrap("reading the registry's changes", err)
}

// The outcomes of applying a delta.
const (
	DeltaValid    = "VALID"
	DeltaConflict = "CONFLICT"
)

// Outcome tells what became of one received delta.
type Outcome struct {
	Code     AgencyID `json:"code"`
	Version  int64    `json:"version"` // theirs
	Result   string   `json:"result"`  // DeltaValid, DeltaConflict
	Reason   string   `json:"reason,omitempty"`
	ReasonEN string   `json:"reason_en,omitempty"`
}

// applied is what was taken of an agency from another registry.
type applied struct {
	version int64
	digest  string
}

// ApplyDeltas takes the changes of another registry (source names it) in one
// transaction. A delta that was applied before is VALID and changes nothing. One
// that does not fit is CONFLICT and left out, the others are applied: when the
// agency was changed here since (or was not made by that source), when its code
// is or was another's, when its parent is missing, or when it would make a loop.
// Only administrators of a root agency and the system may.
func (r *Registry) ApplyDeltas(ctx context.Context, by Actor, source string, list []Delta) ([]Outcome, error) {
	source, err := CleanLine("Nguồn", "The source", source, maxName)
	if err != nil {
		return nil, err
	}
	if source == "" || len(list) > maxDeltas {
		return nil, NewError(KindInvalid, fmt.Sprintf("Cần tên nguồn và tối đa %d thay đổi một lần.", maxDeltas),
			fmt.Sprintf("It needs the name of the source and at most %d changes at a time.", maxDeltas))
	}
	now := r.now()
	var out []Outcome
	err = r.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := mayManage(ctx, tx, by, "", false); err != nil {
			return err
		}
		out, err = applyDeltas(ctx, tx, source, list, by.Tag(), now)
		return err
	})
	r.agencies.clear()
	return out, wrap("applying changes", err)
}

const maxDeltas = 10_000

// applyDeltas judges each delta against what is here and the deltas before it,
// then writes all that fit together.
func applyDeltas(ctx context.Context, tx *sqldb.Tx, source string, list []Delta, by string, now time.Time) ([]Outcome, error) {
	known, err := readAround(ctx, tx, list)
	if err != nil {
		return nil, err
	}
	seen, err := selectSource(ctx, tx, source)
	if err != nil {
		return nil, err
	}
	out := make([]Outcome, len(list))
	var add []Agency
	var changes []change
	at := map[AgencyID]int{} // where an agency stands in changes, or in add as -1-i
	for i, d := range list {
		out[i] = Outcome{Code: d.Agency.ID, Version: d.Version, Result: DeltaValid}
		a, err := known.judge(d, seen)
		if err != nil {
			p := problem(0, err)
			out[i].Result, out[i].Reason, out[i].ReasonEN = DeltaConflict, p.Text, p.TextEN
			continue
		}
		if a == nil {
			continue // applied before
		}
		old, exists := known.byID[a.ID]
		known.put(*a)
		seen[a.ID] = applied{d.Version, a.digest()}
		n, again := at[a.ID]
		switch {
		case again && n < 0:
			add[-1-n] = *a
		case again:
			changes[n].to = *a
		case !exists:
			at[a.ID] = -1 - len(add)
			add = append(add, *a)
		case !old.same(*a):
			at[a.ID] = len(changes)
			changes = append(changes, change{old, *a})
		}
		if err := upsertSource(ctx, tx, source, a.ID, seen[a.ID]); err != nil {
			return nil, err
		}
	}
	if err := insertAgencies(ctx, tx, add, by, now); err != nil {
		return nil, err
	}
	return out, updateAgencies(ctx, tx, changes, by, now)
}

// judge gives the agency that a delta leads to, nil when it was applied before,
// or why it conflicts.
func (k *knownAgencies) judge(d Delta, seen map[AgencyID]applied) (*Agency, error) {
	a := d.Agency
	if err := a.clean(); err != nil {
		return nil, err
	}
	last, fromThere := seen[a.ID]
	if fromThere && d.Version <= last.version {
		return nil, nil
	}
	old, exists := k.byID[a.ID]
	if exists {
		a.Heir = old.Heir
	}
	switch {
	case d.Op != OpCreate && d.Op != OpModify && d.Op != OpDelete:
		return nil, NewError(KindInvalid, "Thao tác "+strconv.Quote(string(d.Op))+" không có.", "There is no operation "+strconv.Quote(string(d.Op))+".")
	case exists && old.same(a):
		return &a, nil
	case d.Op == OpDelete && a.ValidTo.IsZero():
		return nil, NewError(KindInvalid, "Cơ quan bị xóa phải có ngày hết hiệu lực.", "A deleted agency needs its last day.")
	case d.Op == OpModify && !exists:
		return nil, NewError(KindConflict, "Cơ quan cần sửa chưa có ở đây.", "The agency to change is not here.")
	case exists && !fromThere:
		return nil, NewError(KindConflict, "Cơ quan này ở đây không do nguồn đó lập.", "The agency here was not made by that source.")
	case exists && old.digest() != last.digest:
		return nil, NewError(KindConflict, "Cơ quan đã được sửa tại đây sau lần đồng bộ trước.", "The agency was changed here since it was last synchronised.")
	}
	return &a, k.fits(a)
}

// digest names what is said of an agency, apart from what the registry itself adds.
func (a Agency) digest() string {
	a.Heir, a.Version = "", 0
	b, err := json.Marshal(a)
	if err != nil {
		panic("cannot happen: plain struct does not encode: " + err.Error())
	}
	d := sha256.Sum256(b)
	return hex.EncodeToString(d[:])
}

// knownAgencies is the whole registry in memory, for imports and deltas.
type knownAgencies struct {
	byID   map[AgencyID]Agency
	legacy map[string]AgencyID
	former map[string]AgencyID
}

func readAll(ctx context.Context, tx *sqldb.Tx) (*knownAgencies, error) {
	have, err := selectAllAgencies(ctx, tx)
	if err != nil {
		return nil, err
	}
	k := &knownAgencies{byID: have, legacy: make(map[string]AgencyID, len(have))}
	for id, a := range have {
		if a.LegacyCode != "" {
			k.legacy[a.LegacyCode] = id
		}
	}
	k.former, err = selectFormerCodes(ctx, tx)
	return k, err
}

// readAround gives what the judgement of these deltas needs: the agencies named,
// those with the same codes, and everything above them.
func readAround(ctx context.Context, tx *sqldb.Tx, list []Delta) (*knownAgencies, error) {
	k := &knownAgencies{byID: map[AgencyID]Agency{}, legacy: map[string]AgencyID{}, former: map[string]AgencyID{}}
	asked := map[string]bool{}
	var ask []string
	want := func(codes ...string) {
		for _, c := range codes {
			if c != "" && !asked[c] {
				asked[c] = true
				ask = append(ask, c)
			}
		}
	}
	for _, d := range list {
		want(string(d.Agency.ID), d.Agency.LegacyCode, string(d.Agency.Parent))
	}
	for depth := 0; len(ask) > 0 && depth <= 2*maxDepth; depth++ {
		round := ask
		ask = nil
		for chunk := range slices.Chunk(round, 100) {
			found, former, err := selectWithCodes(ctx, tx, chunk)
			if err != nil {
				return nil, err
			}
			maps.Copy(k.former, former)
			for _, a := range found {
				k.byID[a.ID] = a
				if a.LegacyCode != "" {
					k.legacy[a.LegacyCode] = a.ID
				}
				want(string(a.Parent))
			}
		}
	}
	return k, nil
}

func (k *knownAgencies) put(a Agency) {
	if old := k.byID[a.ID].LegacyCode; old != "" && old != a.LegacyCode {
		delete(k.legacy, old)
		k.former[old] = a.ID
	}
	k.byID[a.ID] = a
	if a.LegacyCode != "" {
		k.legacy[a.LegacyCode] = a.ID
	}
}

// fits checks an agency against all others: codes, parent, loops.
func (k *knownAgencies) fits(a Agency) error {
	for _, code := range []string{string(a.ID), a.LegacyCode} {
		if owner := k.owner(code); owner != "" && owner != a.ID {
			return errTaken(code, owner)
		}
	}
	at := a.Parent
	for depth := 0; at != ""; depth++ {
		up, ok := k.byID[at]
		switch {
		case at == a.ID || depth >= maxDepth:
			return NewError(KindInvalid, "Cây cơ quan bị vòng hoặc quá sâu.", "The tree of agencies has a loop or is too deep.")
		case !ok:
			return NewError(KindInvalid, fmt.Sprintf("Không có cơ quan cấp trên %q.", at), fmt.Sprintf("There is no parent agency %q.", at))
		}
		at = up.Parent
	}
	return nil
}

// owner gives whose code it is or was; "" when nobody's.
func (k *knownAgencies) owner(code string) AgencyID {
	if code == "" {
		return ""
	}
	if _, ok := k.byID[AgencyID(code)]; ok {
		return AgencyID(code)
	}
	if id, ok := k.legacy[code]; ok {
		return id
	}
	return k.former[code]
}

func errTaken(code string, owner AgencyID) *Error {
	return NewError(KindConflict, fmt.Sprintf("Mã %s đã là mã của cơ quan %s; một mã không cấp lại cho cơ quan khác.", code, owner),
		fmt.Sprintf("The code %s is or was that of the agency %s; a code is never given to another.", code, owner))
}
