package registry

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"vanthu/storage/sqldb"
)

// Scope is a part of somebody's rights that may be given to somebody else.
type Scope string

// The scopes: a leader's acts one by one, a clerk's together.
const (
	ScopeInitial Scope = "initial" // ký nháy
	ScopeApprove Scope = "approve" // ký ban hành
	ScopeAssign  Scope = "assign"  // phân công, bút phê
	ScopeClerk   Scope = "clerk"   // việc của văn thư
)

// Scopes are all scopes in order.
func Scopes() []Scope { return []Scope{ScopeInitial, ScopeApprove, ScopeAssign, ScopeClerk} }

// Form is how somebody signs in another's place (NĐ 30/2020 Điều 13, Phụ lục I).
type Form string

// The forms; none stands where nothing is signed for the agency.
const (
	FormNone Form = ""
	FormKT   Form = "KT."  // ký thay: a deputy for the head (Điều 13.1, 13.2)
	FormTL   Form = "TL."  // thừa lệnh: the head of a unit, by the agency's rules (Điều 13.4)
	FormTUQ  Form = "TUQ." // thừa ủy quyền: in writing, limited in time and content, never passed on (Điều 13.3)
)

// MaxDelegation is how long one delegation lasts; a longer one is given anew.
const MaxDelegation = 366 * 24 * time.Hour

// Delegation says that Taker acts for Giver in an agency from one time to another
// (ủy quyền, giao quyền). Both names stay in the evidence of every act.
type Delegation struct {
	ID      string    `json:"id"`
	Agency  AgencyID  `json:"agency"` // Giver's, in which Taker acts
	Giver   PersonID  `json:"giver"`
	Taker   PersonID  `json:"taker"` // of the same agency, or of one below it
	Scopes  []Scope   `json:"scopes"`
	Form    Form      `json:"form,omitempty"`  // of the signature, with ScopeApprove
	Basis   string    `json:"basis,omitempty"` // văn bản giao quyền, quy chế; at most 500 characters
	From    time.Time `json:"from"`
	To      time.Time `json:"to"` // first moment it no longer holds
	Created time.Time `json:"created"`
	By      string    `json:"by"` // who entered it
	Revoked time.Time `json:"revoked,omitzero"`
	Reason  string    `json:"reason,omitempty"` // of the revocation

	GiverName     string `json:"giver_name"`
	GiverPosition string `json:"giver_position,omitempty"`
	TakerName     string `json:"taker_name"`
}

// ActiveAt tells whether the delegation holds at t.
func (d *Delegation) ActiveAt(t time.Time) bool {
	return !t.Before(d.From) && t.Before(d.To) && (d.Revoked.IsZero() || t.Before(d.Revoked))
}

// Mandate is whose place an actor takes.
type Mandate struct {
	Delegation string   `json:"delegation"`
	Person     PersonID `json:"person"` // in whose place
	Name       string   `json:"name"`
	Position   string   `json:"position,omitempty"`
	Scopes     []Scope  `json:"scopes"`
	Form       Form     `json:"form,omitempty"`
}

// In says in the words of a signature's reason in whose place it is made; "" of nil.
func (m *Mandate) In() string {
	switch {
	case m == nil:
		return ""
	case m.Form != FormNone:
		return " (" + string(m.Form) + " " + m.Name + ")"
	}
	return " (thay " + m.Name + ")"
}

// Allows tells whether the mandate covers a scope.
func (m *Mandate) Allows(s Scope) bool { return slices.Contains(m.Scopes, s) }

const (
	maxBasis  = 500
	maxReason = 500
)

func (d *Delegation) clean(now time.Time) (err error) {
	var scopes []Scope
	for _, s := range Scopes() {
		if slices.Contains(d.Scopes, s) {
			scopes = append(scopes, s)
		}
	}
	for _, s := range d.Scopes {
		if !slices.Contains(Scopes(), s) {
			return NewError(KindInvalid, "Không có phạm vi ủy quyền "+quote(s)+".", "There is no scope "+quote(s)+".").
				Advise("Các phạm vi: initial, approve, assign, clerk.", "The scopes are initial, approve, assign, clerk.")
		}
	}
	if d.Scopes = scopes; len(scopes) == 0 {
		return NewError(KindInvalid, "Chưa chọn phạm vi ủy quyền.", "No scope is given.")
	}
	if d.Basis, err = CleanLine("Căn cứ", "The basis", d.Basis, maxBasis); err != nil {
		return err
	}
	if d.From.IsZero() {
		d.From = now
	}
	d.From, d.To = d.From.UTC().Truncate(time.Microsecond), d.To.UTC().Truncate(time.Microsecond)
	switch {
	case d.To.IsZero() || !d.To.After(d.From) || !d.To.After(now):
		return NewError(KindInvalid, "Thời hạn ủy quyền phải kết thúc sau lúc bắt đầu và sau hiện tại.", "A delegation must end after it begins, and in the future.").
			Advise("NĐ 30/2020 Điều 13.3: việc ủy quyền phải giới hạn thời gian.", "NĐ 30/2020 Điều 13.3: a delegation is limited in time.")
	case d.To.Sub(d.From) > MaxDelegation:
		return NewError(KindInvalid, "Một lần ủy quyền dài nhất 366 ngày.", "One delegation lasts up to 366 days.").
			Advise("Hết hạn thì giao lại.", "Give it again when it ends.")
	case d.Giver == d.Taker:
		return NewError(KindInvalid, "Không thể ủy quyền cho chính mình.", "Nobody delegates to oneself.")
	}
	return d.cleanForm()
}

// cleanForm checks that the form is one of the law's and fits the scopes.
func (d *Delegation) cleanForm() error {
	approves := slices.Contains(d.Scopes, ScopeApprove)
	if f := strings.ToUpper(strings.TrimSpace(string(d.Form))); f != "" {
		d.Form = Form(strings.TrimSuffix(f, ".") + ".")
	}
	switch {
	case approves && d.Form != FormKT && d.Form != FormTL && d.Form != FormTUQ:
		return NewError(KindInvalid, "Giao ký ban hành phải nêu thể thức KT., TL. hoặc TUQ.", "The right to sign needs its form: KT., TL. or TUQ.").
			Advise("KT.: cấp phó ký thay; TL.: người đứng đầu đơn vị ký thừa lệnh; TUQ.: ký thừa ủy quyền (NĐ 30/2020 Điều 13).",
				"KT.: a deputy for the head; TL.: the head of a unit by order; TUQ.: by written authority (NĐ 30/2020 Điều 13).")
	case !approves && d.Form != FormNone:
		return NewError(KindInvalid, "Thể thức KT., TL., TUQ. chỉ dùng khi giao ký ban hành.", "KT., TL. and TUQ. go with the right to sign only.")
	case d.Basis == "" && (d.Form == FormTL || d.Form == FormTUQ || slices.Contains(d.Scopes, ScopeClerk)):
		return NewError(KindInvalid, "Phải nêu văn bản hoặc quy chế làm căn cứ.", "The document or rule it rests on must be named.").
			Advise("NĐ 30/2020 Điều 13.3, 13.4, 32.2.b.", "NĐ 30/2020 Điều 13.3, 13.4, 32.2.b.")
	}
	return nil
}

func quote[S ~string](s S) string { return "“" + string(s) + "”" }

// roleOf is the role that a giver needs for a scope.
func roleOf(s Scope) Role {
	if s == ScopeClerk {
		return RoleClerk
	}
	return RoleLeader
}

// DelegateIn writes a delegation in the caller's transaction. The giver may, with
// own rights only (what is held for another is never passed on), and
// administrators of the agency, who enter what was given on paper.
func (r *Registry) DelegateIn(ctx context.Context, tx *sqldb.Tx, by Actor, d Delegation) (*Delegation, error) {
	now := r.now()
	if by.OnBehalfOf != nil {
		return nil, NewError(KindForbidden, "Người được ủy quyền không được ủy quyền lại.", "What is held for another is not passed on.").
			Advise("NĐ 30/2020 Điều 13.3.", "NĐ 30/2020 Điều 13.3.")
	}
	giver, _, err := selectPerson(ctx, tx, `id`, string(d.Giver))
	if err != nil {
		return nil, err
	}
	if giver == nil {
		return nil, NewError(KindNotFound, "Không có người ủy quyền này.", "There is no such giver.")
	}
	d.Agency = giver.Agency
	if by.System || by.Person != d.Giver {
		if err := mayManage(ctx, tx, by, d.Agency, true); err != nil {
			return nil, err
		}
	}
	if err := d.clean(now); err != nil {
		return nil, err
	}
	taker, _, err := selectPerson(ctx, tx, `id`, string(d.Taker))
	if err != nil {
		return nil, err
	}
	if err := fitDelegation(ctx, tx, &d, giver, taker); err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, wrap("making an id", err)
	}
	d.ID, d.Created, d.By = id.String(), now.UTC().Truncate(time.Microsecond), by.Tag()
	d.GiverName, d.GiverPosition, d.TakerName = giver.Name, giver.Position, taker.Name
	return &d, insertDelegation(ctx, tx, &d)
}

// fitDelegation checks the people of a delegation.
func fitDelegation(ctx context.Context, tx *sqldb.Tx, d *Delegation, giver, taker *Person) error {
	if taker == nil || taker.Disabled || giver.Disabled {
		return NewError(KindInvalid, "Người ủy quyền và người được ủy quyền phải đang làm việc.", "Both people must be active.")
	}
	for _, s := range d.Scopes {
		if !slices.Contains(giver.Roles, roleOf(s)) {
			return NewError(KindForbidden, giver.Name+" không có quyền “"+string(s)+"” để giao.", giver.Name+" does not have the right “"+string(s)+"” to give.")
		}
	}
	chain, err := selectAncestors(ctx, tx, taker.Agency)
	if err != nil {
		return err
	}
	if !slices.Contains(chain, d.Agency) {
		return NewError(KindInvalid, "Người được ủy quyền phải thuộc cơ quan này hoặc đơn vị trực thuộc.", "The taker must be of the same agency or of one below it.")
	}
	if d.Form == FormKT && (taker.Agency != d.Agency || !slices.Contains(taker.Roles, RoleLeader)) {
		return NewError(KindInvalid, "Chỉ cấp phó của cùng cơ quan mới ký thay (KT.).", "Only a deputy of the same agency signs in the head's place (KT.).").
			Advise("NĐ 30/2020 Điều 13.1, 13.2.", "NĐ 30/2020 Điều 13.1, 13.2.")
	}
	return nil
}

// RevokeDelegationIn ends a delegation now, in the caller's transaction: the giver,
// the taker, who gives it back, and administrators may. Of one that has ended it is
// a conflict.
func (r *Registry) RevokeDelegationIn(ctx context.Context, tx *sqldb.Tx, by Actor, id, reason string) (*Delegation, error) {
	reason, err := CleanLine("Lý do", "The reason", reason, maxReason)
	if err != nil {
		return nil, err
	}
	d, err := selectDelegation(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	if d == nil {
		return nil, errNoDelegation()
	}
	if by.System || by.OnBehalfOf != nil || (by.Person != d.Giver && by.Person != d.Taker) {
		if err := mayManage(ctx, tx, by, d.Agency, true); err != nil {
			return nil, err
		}
	}
	now := r.now().UTC().Truncate(time.Microsecond)
	if !d.Revoked.IsZero() || !now.Before(d.To) {
		return nil, NewError(KindConflict, "Ủy quyền này đã kết thúc.", "This delegation has ended.")
	}
	d.Revoked, d.Reason = now, reason
	return d, endDelegation(ctx, tx, id, reason, by.Tag(), now)
}

func errNoDelegation() *Error {
	return NewError(KindNotFound, "Không có ủy quyền này.", "There is no such delegation.")
}

// DelegationFilter narrows Delegations. The zero value lists all.
type DelegationFilter struct {
	Agency AgencyID
	Person PersonID  // giver or taker
	At     time.Time // only those that hold then; zero = all, ended ones too
}

// Delegations lists delegations, newest first, at most 1000.
func (r *Registry) Delegations(ctx context.Context, f DelegationFilter) (out []Delegation, err error) {
	err = r.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		out, err = selectDelegations(ctx, tx, f)
		return err
	})
	return out, wrap("listing delegations", err)
}

// ActingFor gives the actor that a person is under a delegation: with the scopes
// of it that the giver still has, in the giver's agency, and with no right of the
// own. It is asked anew for every act, so that a delegation that ends, is revoked,
// or whose giver moves, ends at once.
func (r *Registry) ActingFor(ctx context.Context, by Actor, delegation string) (Actor, error) {
	var d *Delegation
	var giver, taker *Person
	var chain []AgencyID
	err := r.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if d, err = selectDelegation(ctx, tx, delegation); err != nil || d == nil {
			return err
		}
		if giver, _, err = selectPerson(ctx, tx, `id`, string(d.Giver)); err != nil {
			return err
		}
		if taker, _, err = selectPerson(ctx, tx, `id`, string(d.Taker)); err != nil || taker == nil {
			return err
		}
		chain, err = selectAncestors(ctx, tx, taker.Agency)
		return err
	})
	if err != nil {
		return Actor{}, wrap("reading delegation", err)
	}
	if d == nil || d.Taker != by.Person || by.System || by.OnBehalfOf != nil {
		return Actor{}, errNoDelegation()
	}
	ended := NewError(KindForbidden, "Ủy quyền này chưa bắt đầu hoặc đã kết thúc.", "This delegation has not begun or has ended.")
	if !d.ActiveAt(r.now()) || giver == nil || giver.Disabled || giver.Agency != d.Agency || taker.Disabled || !slices.Contains(chain, d.Agency) {
		return Actor{}, ended
	}
	if d.Form == FormKT && (taker.Agency != d.Agency || !slices.Contains(taker.Roles, RoleLeader)) {
		return Actor{}, ended // no longer a deputy of the giver's
	}
	m := &Mandate{Delegation: d.ID, Person: giver.ID, Name: giver.Name, Position: giver.Position, Form: d.Form}
	a := Actor{Person: taker.ID, Name: taker.Name, Agency: d.Agency, OnBehalfOf: m}
	for _, s := range d.Scopes {
		if !slices.Contains(giver.Roles, roleOf(s)) {
			continue
		}
		m.Scopes = append(m.Scopes, s)
		switch s {
		case ScopeAssign:
			a.Roles = append(a.Roles, RoleLeader)
		case ScopeClerk:
			a.Roles = append(a.Roles, RoleClerk)
		}
	}
	if len(m.Scopes) == 0 {
		return Actor{}, ended
	}
	return a, nil
}
