package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"vanthu/exchange/registry"
)

type personCmd struct {
	List    personListCmd    `cmd:"" help:"Liệt kê người của một cơ quan. | List the people of an agency."`
	Move    personMoveCmd    `cmd:"" help:"Điều động, đổi vai trò hoặc chức vụ, ngay hoặc từ một ngày. | Move a person, or change roles or position, now or at a date."`
	Disable personDisableCmd `cmd:"" help:"Khóa tài khoản, bàn giao việc. | Close an account and hand the work over."`
	History personHistoryCmd `cmd:"" help:"Quá trình công tác của một người. | What a person was over time."`
}

// administers is how commands on the data folder act.
func administers() registry.Actor { return registry.System("administration") }

// printLine writes one result: JSON for programs, words for people.
func printLine(w io.Writer, asJSON bool, v any, format string, args ...any) error {
	if asJSON {
		return json.NewEncoder(w).Encode(v)
	}
	_, err := fmt.Fprintf(w, format+"\n", args...)
	return err
}

type personListCmd struct {
	dataFlags
	JSON   bool   `name:"json" help:"Một dòng JSON cho mỗi người. | One JSON line per person."`
	Agency string `arg:"" help:"Mã định danh cơ quan. | Code of the agency."`
}

// Run lists the people of one agency.
func (c personListCmd) Run(a *app) error {
	return c.with(a, func(hub *Hub) error {
		people, err := hub.Registry.People(a.ctx, registry.AgencyID(c.Agency))
		for i := range people {
			p := &people[i]
			state := ""
			if p.Disabled {
				state = " (khóa | closed)"
			}
			if err == nil {
				err = printLine(a.stdout, c.JSON, p, "%-20s %-30s %v %s%s", p.Login, p.Name, p.Roles, p.Position, state)
			}
		}
		return err
	})
}

type personMoveCmd struct {
	dataFlags
	To       string   `help:"Mã cơ quan mới; bỏ trống để ở lại. | Code of the new agency; the same when absent."`
	Role     []string `help:"Vai trò mới: clerk, leader, officer, administrator. | New roles."`
	Position string   `help:"Chức vụ mới. | New position."`
	At       string   `help:"Có hiệu lực từ, RFC 3339 hoặc YYYY-MM-DD; ngay nếu bỏ trống. | From then on; now when absent."`
	HandOver string   `name:"hand-over" help:"Tên đăng nhập người nhận bàn giao; lãnh đạo đã giao việc nếu bỏ trống. | Login of who takes the open work."`
	Keep     bool     `name:"keep-certificates" help:"Chứng thư tiếp tục có hiệu lực. | The certificates go on."`
	Reason   string   `required:"" help:"Lý do, quyết định. | The reason, the decision."`
	JSON     bool     `name:"json" help:"Kết quả dạng JSON. | Result as JSON."`
	Login    string   `arg:"" help:"Tên đăng nhập. | Login."`
}

// Run moves one person.
func (c personMoveCmd) Run(a *app) error {
	at, err := pointOf("--at", c.At)
	if err != nil {
		return unreadable(err)
	}
	m := registry.Move{Agency: registry.AgencyID(c.To), Position: c.Position, KeepCertificates: c.Keep, Reason: c.Reason, At: at}
	for _, r := range c.Role {
		m.Roles = append(m.Roles, registry.Role(r))
	}
	return c.with(a, func(hub *Hub) error { return movePerson(a, hub, m, c.Login, c.HandOver, c.JSON) })
}

// pointOf reads a day of Vietnam or a time by RFC 3339; "" is none.
func pointOf(name, text string) (time.Time, error) {
	if strings.Contains(text, "T") {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return at, fmt.Errorf("%s: %w", name, err)
		}
		return at, nil
	}
	return dayOf(name, text)
}

func movePerson(a *app, hub *Hub, m registry.Move, login, heir string, asJSON bool) error {
	p, err := hub.Registry.PersonByLogin(a.ctx, login)
	if err != nil {
		return err
	}
	m.Person = p.ID
	if heir != "" {
		h, err := hub.Registry.PersonByLogin(a.ctx, heir)
		if err != nil {
			return err
		}
		m.HandOver = h.ID
	}
	moved, err := hub.Service.MovePerson(a.ctx, administers(), m)
	if err != nil {
		return err
	}
	if moved.Done.IsZero() {
		return printLine(a.stdout, asJSON, moved, "Sẽ thực hiện lúc %s | planned", moved.At.In(vietnam()).Format(time.RFC3339))
	}
	return printLine(a.stdout, asJSON, moved, "Xong: bàn giao %d việc, thôi phối hợp %d, hết hiệu lực %d ủy quyền, %d chứng thư | done",
		moved.Handed, moved.Withdrawn, moved.Delegations, moved.Ended)
}

type personDisableCmd struct {
	dataFlags
	HandOver string `name:"hand-over" help:"Tên đăng nhập người nhận bàn giao. | Login of who takes the open work."`
	Reason   string `required:"" help:"Lý do. | The reason."`
	JSON     bool   `name:"json" help:"Kết quả dạng JSON. | Result as JSON."`
	Login    string `arg:"" help:"Tên đăng nhập. | Login."`
}

// Run closes one account.
func (c personDisableCmd) Run(a *app) error {
	return c.with(a, func(hub *Hub) error {
		return movePerson(a, hub, registry.Move{Disable: true, Reason: c.Reason}, c.Login, c.HandOver, c.JSON)
	})
}

type personHistoryCmd struct {
	dataFlags
	JSON  bool   `name:"json" help:"Một dòng JSON cho mỗi giai đoạn. | One JSON line per term."`
	Login string `arg:"" help:"Tên đăng nhập. | Login."`
}

// Run prints what a person was, oldest first.
func (c personHistoryCmd) Run(a *app) error {
	return c.with(a, func(hub *Hub) error {
		p, err := hub.Registry.PersonByLogin(a.ctx, c.Login)
		if err != nil {
			return err
		}
		terms, err := hub.Registry.Terms(a.ctx, p.ID)
		for _, t := range terms {
			until := "nay | now"
			if !t.Until.IsZero() {
				until = t.Until.In(vietnam()).Format(time.DateTime)
			}
			if err == nil {
				err = printLine(a.stdout, c.JSON, t, "%s – %s  %s  %v  %s", t.Since.In(vietnam()).Format(time.DateTime), until, t.Agency, t.Roles, t.Position)
			}
		}
		return err
	})
}

type delegateCmd struct {
	Add    delegateAddCmd    `cmd:"" help:"Giao quyền cho người khác trong một thời hạn. | Let somebody act for somebody else, for a time."`
	List   delegateListCmd   `cmd:"" help:"Liệt kê ủy quyền của một cơ quan. | List the delegations of an agency."`
	Revoke delegateRevokeCmd `cmd:"" help:"Thôi ủy quyền. | End a delegation."`
}

type delegateAddCmd struct {
	dataFlags
	Giver string   `required:"" help:"Tên đăng nhập người giao. | Login of the giver."`
	Taker string   `required:"" help:"Tên đăng nhập người nhận. | Login of the taker."`
	Scope []string `required:"" help:"Phạm vi: initial, approve, assign, clerk. | Scopes."`
	Form  string   `help:"Thể thức khi ký ban hành: KT., TL., TUQ. | Form of the signature."`
	Basis string   `help:"Văn bản hoặc quy chế làm căn cứ. | The document or rule it rests on."`
	From  string   `help:"Từ, RFC 3339 hoặc YYYY-MM-DD; ngay nếu bỏ trống. | From; now when absent."`
	To    string   `required:"" help:"Đến trước thời điểm này. | Until before this moment."`
	JSON  bool     `name:"json" help:"Kết quả dạng JSON. | Result as JSON."`
}

// Run enters one delegation.
func (c delegateAddCmd) Run(a *app) error {
	d := registry.Delegation{Form: registry.Form(c.Form), Basis: c.Basis}
	for _, s := range c.Scope {
		d.Scopes = append(d.Scopes, registry.Scope(s))
	}
	var err error
	if d.From, err = pointOf("--from", c.From); err != nil {
		return unreadable(err)
	}
	if d.To, err = pointOf("--to", c.To); err != nil {
		return unreadable(err)
	}
	return c.with(a, func(hub *Hub) error {
		for login, to := range map[string]*registry.PersonID{c.Giver: &d.Giver, c.Taker: &d.Taker} {
			p, err := hub.Registry.PersonByLogin(a.ctx, login)
			if err != nil {
				return err
			}
			*to = p.ID
		}
		given, err := hub.Service.Delegate(a.ctx, administers(), d)
		if err != nil {
			return err
		}
		return printLine(a.stdout, c.JSON, given, "%s", delegationLine(given))
	})
}

func delegationLine(d *registry.Delegation) string {
	state := ""
	if !d.Revoked.IsZero() {
		state = " (đã thôi | revoked)"
	}
	return fmt.Sprintf("%s  %s → %s  %v %s  %s – %s%s", d.ID, d.GiverName, d.TakerName, d.Scopes, d.Form,
		d.From.In(vietnam()).Format(time.DateTime), d.To.In(vietnam()).Format(time.DateTime), state)
}

type delegateListCmd struct {
	dataFlags
	JSON   bool   `name:"json" help:"Một dòng JSON cho mỗi ủy quyền. | One JSON line per delegation."`
	Agency string `arg:"" help:"Mã định danh cơ quan. | Code of the agency."`
}

// Run lists delegations, newest first, ended ones too.
func (c delegateListCmd) Run(a *app) error {
	return c.with(a, func(hub *Hub) error {
		list, err := hub.Registry.Delegations(a.ctx, registry.DelegationFilter{Agency: registry.AgencyID(c.Agency)})
		for i := range list {
			if err == nil {
				err = printLine(a.stdout, c.JSON, list[i], "%s", delegationLine(&list[i]))
			}
		}
		return err
	})
}

type delegateRevokeCmd struct {
	dataFlags
	Reason string `help:"Lý do. | The reason."`
	ID     string `arg:"" help:"Mã ủy quyền. | Id of the delegation."`
}

// Run ends one delegation at once.
func (c delegateRevokeCmd) Run(a *app) error {
	return c.with(a, func(hub *Hub) error {
		d, err := hub.Service.RevokeDelegation(a.ctx, administers(), c.ID, c.Reason)
		if err != nil {
			return err
		}
		return printLine(a.stdout, false, d, "%s", delegationLine(d))
	})
}
