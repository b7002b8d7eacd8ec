package registry

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"vanthu/storage/sqldb"
)

// Limits of a person's data (NĐ 30/2020 Phụ lục VI phần II).
const (
	maxPersonName = 50
	maxPosition   = 100
)

var loginGrammar = regexp.MustCompile(`^[a-z0-9][a-z0-9._@-]{1,63}$`)

func (p *Person) clean() (err error) {
	p.Login = strings.ToLower(strings.TrimSpace(p.Login))
	if !loginGrammar.MatchString(p.Login) {
		return NewError(KindInvalid, "Tên đăng nhập "+strconv.Quote(p.Login)+" không hợp lệ.", "The login "+strconv.Quote(p.Login)+" is not valid.").
			Advise("Dùng 2 đến 64 chữ cái không dấu, chữ số và . _ - @.", "Use 2 to 64 letters without marks, digits and . _ - @.")
	}
	if p.Name, err = CleanLine("Họ tên", "The name", p.Name, maxPersonName); err != nil {
		return err
	}
	if p.Name == "" {
		return NewError(KindInvalid, "Thiếu họ tên.", "The name is missing.")
	}
	if p.Position, err = CleanLine("Chức vụ", "The position", p.Position, maxPosition); err != nil {
		return err
	}
	if p.Mail, err = CleanLine("Thư điện tử", "The mail address", p.Mail, maxMail); err != nil {
		return err
	}
	if p.Mail != "" && !plainAddress(p.Mail) {
		return NewError(KindInvalid, "Địa chỉ thư "+strconv.Quote(p.Mail)+" không hợp lệ.", "The mail address "+strconv.Quote(p.Mail)+" is not valid.")
	}
	var roles []Role
	for _, r := range Roles() {
		if slices.Contains(p.Roles, r) {
			roles = append(roles, r)
		}
	}
	for _, r := range p.Roles {
		if !slices.Contains(Roles(), r) {
			return NewError(KindInvalid, "Không có vai trò "+strconv.Quote(string(r))+".", "There is no role "+strconv.Quote(string(r))+".").
				Advise("Các vai trò: clerk, leader, officer, administrator.", "The roles are clerk, leader, officer, administrator.")
		}
	}
	if len(roles) == 0 {
		return NewError(KindInvalid, "Người dùng cần ít nhất một vai trò.", "A person needs a role.")
	}
	p.Roles = roles
	return nil
}

// AddPerson registers a person and makes the ID. An empty password means that
// the person may not log in yet. Administrators add people of the agencies they
// manage.
func (r *Registry) AddPerson(ctx context.Context, by Actor, p Person, password string) (*Person, error) {
	if err := p.clean(); err != nil {
		return nil, err
	}
	phc, err := r.newHash(ctx, password)
	if err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, wrap("making an id", err)
	}
	p.ID = PersonID(id.String())
	now := r.now()
	err = r.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := mayManage(ctx, tx, by, p.Agency, true); err != nil {
			return err
		}
		return insertPerson(ctx, tx, p, phc, now)
	})
	if sqldb.IsConflict(err) {
		return nil, NewError(KindConflict, "Tên đăng nhập "+p.Login+" đã có người dùng.", "The login "+p.Login+" is taken.").Because(err)
	}
	if err != nil {
		return nil, wrap("adding person", err)
	}
	return &p, nil
}

func (r *Registry) newHash(ctx context.Context, password string) (string, error) {
	if password == "" {
		return "", nil
	}
	if err := checkPassword(password); err != nil {
		return "", err
	}
	return r.hasher.hash(ctx, password)
}

// UpdatePerson changes name, position, mail, roles, agency and Disabled; the
// login stays. Disabling ends the person's sessions and tokens.
func (r *Registry) UpdatePerson(ctx context.Context, by Actor, p Person) error {
	old, err := r.Person(ctx, p.ID)
	if err != nil {
		return err
	}
	p.Login = old.Login
	if err := p.clean(); err != nil {
		return err
	}
	now := r.now()
	err = r.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := mayManage(ctx, tx, by, old.Agency, true); err != nil {
			return err
		}
		if err := mayManage(ctx, tx, by, p.Agency, true); err != nil {
			return err
		}
		if err := updatePerson(ctx, tx, p, now); err != nil {
			return err
		}
		if p.Disabled {
			return deleteSessions(ctx, tx, p.ID)
		}
		return nil
	})
	r.people.clear()
	r.sessions.clear()
	return wrap("updating person", err)
}

// Person gives one person.
func (r *Registry) Person(ctx context.Context, id PersonID) (*Person, error) {
	if p, ok := r.people.get(id); ok {
		p.Roles = slices.Clone(p.Roles)
		return &p, nil
	}
	generation := r.people.generation()
	p, _, err := r.person(ctx, `id`, string(id))
	if err != nil {
		return nil, err
	}
	r.people.put(generation, id, *p)
	p.Roles = slices.Clone(p.Roles)
	return p, nil
}

// PersonByLogin gives the person with a login.
func (r *Registry) PersonByLogin(ctx context.Context, login string) (*Person, error) {
	p, _, err := r.person(ctx, `login`, strings.ToLower(strings.TrimSpace(login)))
	return p, err
}

func (r *Registry) person(ctx context.Context, column, value string) (p *Person, phc string, err error) {
	err = r.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		p, phc, err = selectPerson(ctx, tx, column, value)
		return err
	})
	if err == nil && p == nil {
		err = NewError(KindNotFound, "Không có người dùng này.", "There is no such person.")
	}
	return p, phc, wrap("reading person", err)
}

// People lists the people of an agency in login order.
func (r *Registry) People(ctx context.Context, a AgencyID) (out []Person, err error) {
	err = r.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		out, err = selectPeople(ctx, tx, a)
		return err
	})
	return out, wrap("listing people", err)
}

// SetPassword changes a password and ends all sessions of the person. The
// person itself and administrators may.
func (r *Registry) SetPassword(ctx context.Context, by Actor, id PersonID, password string) error {
	if err := checkPassword(password); err != nil {
		return err
	}
	p, err := r.Person(ctx, id)
	if err != nil {
		return err
	}
	phc, err := r.newHash(ctx, password)
	if err != nil {
		return err
	}
	err = r.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if by.System || by.Person != id {
			if err := mayManage(ctx, tx, by, p.Agency, true); err != nil {
				return err
			}
		}
		if err := updatePassword(ctx, tx, id, phc, r.now()); err != nil {
			return err
		}
		return deleteSessions(ctx, tx, id)
	})
	r.sessions.clear()
	return wrap("changing password", err)
}

// ActorOf gives the actor a person acts as, without a login: for the hub's own
// tools and tests.
func (r *Registry) ActorOf(ctx context.Context, id PersonID) (Actor, error) {
	p, err := r.Person(ctx, id)
	if err != nil {
		return Actor{}, err
	}
	if p.Disabled {
		return Actor{}, NewError(KindForbidden, "Tài khoản đã bị khóa.", "The account is disabled.")
	}
	return p.actor(), nil
}

func (p *Person) actor() Actor {
	return Actor{Person: p.ID, Name: p.Name, Agency: p.Agency, Roles: slices.Clone(p.Roles)}
}
