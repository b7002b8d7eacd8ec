package registry

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"vanthu/storage/sqldb"
)

// Move is a change of a person's place: another agency, other roles, another
// position, or the end of the account (điều động, bổ nhiệm, nghỉ việc).
type Move struct {
	ID               string    `json:"id"`
	Person           PersonID  `json:"person"`
	From             AgencyID  `json:"from"`
	Agency           AgencyID  `json:"agency"` // where to; the same = roles or position change only
	Position         string    `json:"position,omitempty"`
	Roles            []Role    `json:"roles"`
	Disable          bool      `json:"disable,omitempty"`           // the account is closed
	HandOver         PersonID  `json:"hand_over,omitempty"`         // who takes the open work; "" = the leader who gave it
	KeepCertificates bool      `json:"keep_certificates,omitempty"` // they go on to speak for the person
	Reason           string    `json:"reason"`
	At               time.Time `json:"at"` // from then on; the past is not changed
	Created          time.Time `json:"created"`
	By               string    `json:"by"`
	Done             time.Time `json:"done,omitzero"`
	Cancelled        time.Time `json:"cancelled,omitzero"`
	Problem          string    `json:"problem,omitempty"` // why it could not be done

	Name string `json:"name"` // of the person
}

// Leaves tells whether the person is no longer one of From afterwards.
func (m *Move) Leaves() bool { return m.Disable || m.Agency != m.From }

// Term is what a person was, from Since to Until (zero = now).
type Term struct {
	Since     time.Time `json:"since"`
	Until     time.Time `json:"until,omitzero"`
	Agency    AgencyID  `json:"agency"`
	Name      string    `json:"name"`
	Position  string    `json:"position,omitempty"`
	Roles     []Role    `json:"roles"`
	Disabled  bool      `json:"disabled,omitempty"`
	ChangedBy string    `json:"changed_by,omitempty"` // who ended it
	Reason    string    `json:"reason,omitempty"`
}

// PlanMoveIn writes a move in the caller's transaction, to be done at its time.
// What is empty of Agency, Position and Roles stays as it is. Administrators of
// both agencies may.
func (r *Registry) PlanMoveIn(ctx context.Context, tx *sqldb.Tx, by Actor, m Move) (*Move, error) {
	now := r.now().UTC().Truncate(time.Microsecond)
	p, _, err := selectPerson(ctx, tx, `id`, string(m.Person))
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, NewError(KindNotFound, "Không có người dùng này.", "There is no such person.")
	}
	if m.Reason, err = CleanLine("Lý do", "The reason", m.Reason, maxReason); err != nil {
		return nil, err
	}
	if m.Reason == "" {
		return nil, NewError(KindInvalid, "Phải nêu lý do hoặc quyết định điều động.", "The reason, or the decision behind it, is needed.")
	}
	m.From, m.Name = p.Agency, p.Name
	if m.Agency == "" {
		m.Agency = p.Agency
	}
	if m.Position == "" {
		m.Position = p.Position
	}
	roles := len(m.Roles) > 0
	if !roles {
		m.Roles = p.Roles
	}
	after := *p
	after.Agency, after.Position, after.Roles = m.Agency, m.Position, m.Roles
	if err := after.clean(); err != nil {
		return nil, err
	}
	m.Position, m.Roles = after.Position, after.Roles
	for _, a := range []AgencyID{m.From, m.Agency} {
		if err := mayManage(ctx, tx, by, a, true); err != nil {
			return nil, err
		}
	}
	if err := m.fitHeir(ctx, tx); err != nil {
		return nil, err
	}
	if m.At.Before(now) {
		if !m.At.IsZero() && now.Sub(m.At) > 24*time.Hour {
			return nil, NewError(KindInvalid, "Không thể điều động từ một ngày đã qua.", "A move cannot begin in the past.").
				Advise("Bỏ trống ngày để có hiệu lực ngay.", "Leave the date out for at once.")
		}
		m.At = now
	}
	m.At = m.At.UTC().Truncate(time.Microsecond)
	id, err := uuid.NewV7()
	if err != nil {
		return nil, wrap("making an id", err)
	}
	m.ID, m.Created, m.By = id.String(), now, by.Tag()
	kept := m
	if !roles {
		kept.Roles = nil // told when it is done
	}
	return &m, insertMove(ctx, tx, &kept)
}

// fitHeir checks who takes the open work.
func (m *Move) fitHeir(ctx context.Context, tx *sqldb.Tx) error {
	if m.HandOver == "" {
		return nil
	}
	heir, _, err := selectPerson(ctx, tx, `id`, string(m.HandOver))
	if err != nil {
		return err
	}
	if heir == nil || heir.Disabled || heir.Agency != m.From || heir.ID == m.Person {
		return NewError(KindInvalid, "Người nhận bàn giao phải là người khác đang làm việc tại cơ quan cũ.", "Who takes over must be another active person of the former agency.")
	}
	return nil
}

// Moved is what MoveIn changed beside the person.
type Moved struct {
	Delegations  []string // that ended
	Certificates []string // fingerprints that no longer speak for the person
}

// MoveIn does a planned move in the caller's transaction: the person's row, its
// history, sessions and tokens, delegations and certificates. The open work is the
// caller's. It is done once: a second call gives nil. Whoever calls ends with
// ForgetPeople.
func (r *Registry) MoveIn(ctx context.Context, tx *sqldb.Tx, id string) (*Move, *Moved, error) {
	m, err := selectMove(ctx, tx, id)
	if err != nil || m == nil || !m.Done.IsZero() || !m.Cancelled.IsZero() {
		return nil, nil, err
	}
	now := r.now().UTC().Truncate(time.Microsecond)
	p, _, err := selectPerson(ctx, tx, `id`, string(m.Person))
	if err != nil {
		return nil, nil, err
	}
	if p == nil || p.Agency != m.From {
		return nil, nil, NewError(KindConflict, "Người này đã chuyển cơ quan trước ngày điều động.", "The person has moved before this move was due.")
	}
	if p.Disabled && !m.Disable {
		return nil, nil, NewError(KindConflict, "Tài khoản đã bị khóa trước ngày điều động.", "The account was closed before this move was due.")
	}
	if len(m.Roles) == 0 {
		m.Roles = p.Roles // those of today: a role that was withdrawn meanwhile does not come back
	}
	if m.Position == "" {
		m.Position = p.Position
	}
	if m.fitHeir(ctx, tx) != nil {
		m.HandOver = "" // gone meanwhile: the work goes back to the leader
	}
	if err := insertTerm(ctx, tx, p, m.By, m.Reason, now); err != nil {
		return nil, nil, err
	}
	p.Agency, p.Position, p.Roles, p.Disabled = m.Agency, m.Position, m.Roles, m.Disable
	if err := updatePerson(ctx, tx, *p, now); err != nil {
		return nil, nil, err
	}
	moved := new(Moved)
	if m.Leaves() {
		if err := deleteSessions(ctx, tx, p.ID); err != nil {
			return nil, nil, err
		}
		if moved.Delegations, err = endDelegationsOf(ctx, tx, p.ID, m.Reason, m.By, now); err != nil {
			return nil, nil, err
		}
		if !m.KeepCertificates {
			if moved.Certificates, err = endCertificates(ctx, tx, PersonOwner(p.ID), now); err != nil {
				return nil, nil, err
			}
		}
	}
	m.Done = now
	return m, moved, finishMove(ctx, tx, m.ID, now)
}

// FailMoveIn keeps why a move could not be done; it is not tried again.
func (r *Registry) FailMoveIn(ctx context.Context, tx *sqldb.Tx, id string, cause error) error {
	text := "Lỗi nội bộ."
	var e *Error
	if errors.As(cause, &e) {
		text = e.Message
	}
	return cancelMove(ctx, tx, id, text, r.now())
}

// CancelMoveIn takes back a move that is to come.
func (r *Registry) CancelMoveIn(ctx context.Context, tx *sqldb.Tx, by Actor, id string) (*Move, error) {
	m, err := selectMove(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, NewError(KindNotFound, "Không có lần điều động này.", "There is no such move.")
	}
	if err := mayManage(ctx, tx, by, m.From, true); err != nil {
		return nil, err
	}
	if !m.Done.IsZero() || !m.Cancelled.IsZero() {
		return nil, NewError(KindConflict, "Lần điều động này đã xong hoặc đã hủy.", "This move is done or cancelled.")
	}
	m.Cancelled = r.now()
	return m, cancelMove(ctx, tx, id, "", m.Cancelled)
}

// ForgetPeople drops what is kept in memory about people and their sessions.
func (r *Registry) ForgetPeople() {
	r.people.clear()
	r.sessions.clear()
	r.certificates.clear()
	r.keys.clear()
}

// Moves lists the moves of a person, newest first; of all that are to come when
// the person is "".
func (r *Registry) Moves(ctx context.Context, id PersonID) (out []Move, err error) {
	err = r.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		out, err = selectMoves(ctx, tx, id)
		return err
	})
	return out, wrap("listing moves", err)
}

// Terms gives what a person was over time, oldest first; the last one is now.
func (r *Registry) Terms(ctx context.Context, id PersonID) (out []Term, err error) {
	err = r.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		p, _, err := selectPerson(ctx, tx, `id`, string(id))
		if err != nil {
			return err
		}
		if p == nil {
			return NewError(KindNotFound, "Không có người dùng này.", "There is no such person.")
		}
		out, err = selectTerms(ctx, tx, p)
		return err
	})
	return out, wrap("reading the history of a person", err)
}

// MovesIn gives the moves to come, in the caller's transaction.
func (r *Registry) MovesIn(ctx context.Context, tx *sqldb.Tx) ([]Move, error) {
	return selectMoves(ctx, tx, "")
}

// LeadersIn gives the active leaders of an agency by login, in the caller's
// transaction.
func (r *Registry) LeadersIn(ctx context.Context, tx *sqldb.Tx, a AgencyID) ([]PersonID, error) {
	people, err := selectPeople(ctx, tx, a)
	var out []PersonID
	for i := range people {
		if !people[i].Disabled && slices.Contains(people[i].Roles, RoleLeader) {
			out = append(out, people[i].ID)
		}
	}
	return out, err
}

// NameIn gives a person's name in the caller's transaction, the id when there is
// no such person.
func (r *Registry) NameIn(ctx context.Context, tx *sqldb.Tx, id PersonID) (string, error) {
	p, _, err := selectPerson(ctx, tx, `id`, string(id))
	if err != nil || p == nil {
		return string(id), err
	}
	return p.Name, nil
}
