package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

// actingHeader names the delegation under which a call is made.
const actingHeader = "Acting-For"

type delegationInput struct {
	Body struct {
		Giver  registry.PersonID `json:"giver,omitempty" maxLength:"64" doc:"whose right it is; oneself when absent"`
		Taker  registry.PersonID `json:"taker" minLength:"1" maxLength:"64"`
		Scopes []registry.Scope  `json:"scopes" minItems:"1" maxItems:"4" doc:"initial, approve, assign (a leader's), clerk (a clerk's acts)"`
		Form   registry.Form     `json:"form,omitempty" maxLength:"4" doc:"with approve: KT., TL. or TUQ. (NĐ 30/2020 Điều 13)"`
		Basis  string            `json:"basis,omitempty" maxLength:"500" doc:"the document or rule that gives the right"`
		From   string            `json:"from,omitempty" format:"date-time" doc:"RFC 3339; now when absent"`
		To     string            `json:"to" format:"date-time" doc:"first moment it no longer holds; at most 366 days later"`
	}
}

type delegationOutput struct{ Body registry.Delegation }

type delegationIDInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body *struct {
		Reason string `json:"reason,omitempty" maxLength:"500"`
	}
}

type personIDInput struct {
	ID string `path:"id" maxLength:"64"`
}

type moveInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Agency           registry.AgencyID `json:"agency,omitempty" maxLength:"35" doc:"where to; the same agency when absent"`
		Position         string            `json:"position,omitempty" maxLength:"100"`
		Roles            []registry.Role   `json:"roles,omitempty" maxItems:"4" doc:"as now when absent"`
		Disable          bool              `json:"disable,omitempty" doc:"close the account"`
		HandOver         registry.PersonID `json:"hand_over,omitempty" maxLength:"64" doc:"who takes the open work; the leader who gave it when absent"`
		KeepCertificates bool              `json:"keep_certificates,omitempty"`
		Reason           string            `json:"reason" minLength:"1" maxLength:"500" doc:"quyết định điều động, lý do"`
		At               string            `json:"at,omitempty" format:"date-time" doc:"RFC 3339; now when absent"`
	}
}

type movedOutput struct{ Body exchange.Moved }

// momentOf reads a time by RFC 3339; "" is none.
func momentOf(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, registry.NewError(registry.KindInvalid, "Thời điểm phải theo RFC 3339, ví dụ 2026-03-05T08:00:00+07:00.", "A time must be by RFC 3339, such as 2026-03-05T08:00:00+07:00.")
	}
	return at, nil
}

// describePlaces are the calls about who acts for whom and who works where.
func (a *api) describePlaces(described huma.API) {
	op := func(id, method, path, summary string, status int) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/v1/" + path, Tags: []string{"people"}, Summary: summary,
			Security: withToken(), DefaultStatus: status, MaxBodyBytes: maxJSON}
	}
	give := op("giveDelegation", http.MethodPost, "delegations", "Ủy quyền, giao quyền / Let somebody act for somebody else", http.StatusCreated)
	give.Description = "Who holds a delegation makes any call in the giver's place with the header Acting-For: <delegation id>. Both names stand in the evidence."
	register(described, give, a.delegateRights)
	register(described, op("listDelegations", http.MethodGet, "delegations", "Các ủy quyền / Delegations", 0),
		func(ctx context.Context, _ *struct{}) (*itemsOutput[registry.Delegation], error) {
			list, err := a.service.Delegations(ctx, actorOf(ctx))
			return items(list), a.told(ctx, err)
		})
	register(described, op("listMandates", http.MethodGet, "me/mandates", "Tôi đang được ủy quyền gì / What I may do in others' place", 0),
		func(ctx context.Context, _ *struct{}) (*itemsOutput[registry.Delegation], error) {
			list, err := a.service.Mandates(ctx, actorOf(ctx))
			return items(list), a.told(ctx, err)
		})
	register(described, op("revokeDelegation", http.MethodPost, "delegations/{id}/revoke", "Thôi ủy quyền / End a delegation", 0),
		func(ctx context.Context, in *delegationIDInput) (*delegationOutput, error) {
			reason := ""
			if in.Body != nil {
				reason = in.Body.Reason
			}
			d, err := a.service.RevokeDelegation(ctx, actorOf(ctx), in.ID, reason)
			if err != nil {
				return nil, a.told(ctx, err)
			}
			return &delegationOutput{Body: *d}, nil
		})
	register(described, op("movePerson", http.MethodPost, "people/{id}/moves", "Điều động, đổi vai trò, khóa tài khoản / Move, change roles, close", http.StatusCreated), a.movePerson)
	register(described, op("listMoves", http.MethodGet, "people/{id}/moves", "Các lần điều động / Moves", 0),
		func(ctx context.Context, in *personIDInput) (*itemsOutput[registry.Move], error) {
			if err := a.mayRead(ctx, in.ID); err != nil {
				return nil, a.told(ctx, err)
			}
			list, err := a.registry.Moves(ctx, registry.PersonID(in.ID))
			return items(list), a.told(ctx, err)
		})
	register(described, op("listTerms", http.MethodGet, "people/{id}/terms", "Quá trình công tác / What a person was over time", 0),
		func(ctx context.Context, in *personIDInput) (*itemsOutput[registry.Term], error) {
			if err := a.mayRead(ctx, in.ID); err != nil {
				return nil, a.told(ctx, err)
			}
			list, err := a.registry.Terms(ctx, registry.PersonID(in.ID))
			return items(list), a.told(ctx, err)
		})
	register(described, op("cancelMove", http.MethodDelete, "moves/{id}", "Hủy điều động / Cancel a move to come", http.StatusNoContent),
		func(ctx context.Context, in *personIDInput) (*struct{}, error) {
			return nil, a.told(ctx, a.service.CancelMove(ctx, actorOf(ctx), in.ID))
		})
}

// mayRead lets people read of themselves, and administrators of those they manage.
func (a *api) mayRead(ctx context.Context, person string) error {
	by := actorOf(ctx)
	if string(by.Person) == person {
		return nil
	}
	p, err := a.registry.Person(ctx, registry.PersonID(person))
	if err != nil {
		return err
	}
	ok, err := a.registry.Manages(ctx, by, p.Agency)
	if err == nil && !ok {
		err = notFound("Không có người dùng này.", "There is no such person.")
	}
	return err
}

func (a *api) delegateRights(ctx context.Context, in *delegationInput) (*delegationOutput, error) {
	by := actorOf(ctx)
	d := registry.Delegation{Giver: in.Body.Giver, Taker: in.Body.Taker, Scopes: in.Body.Scopes, Form: in.Body.Form, Basis: in.Body.Basis}
	if d.Giver == "" {
		d.Giver = by.Person
	}
	var err error
	if d.From, err = momentOf(in.Body.From); err != nil {
		return nil, a.told(ctx, err)
	}
	if d.To, err = momentOf(in.Body.To); err != nil {
		return nil, a.told(ctx, err)
	}
	given, err := a.service.Delegate(ctx, by, d)
	if err != nil {
		return nil, a.told(ctx, err)
	}
	return &delegationOutput{Body: *given}, nil
}

func (a *api) movePerson(ctx context.Context, in *moveInput) (*movedOutput, error) {
	at, err := momentOf(in.Body.At)
	if err != nil {
		return nil, a.told(ctx, err)
	}
	moved, err := a.service.MovePerson(ctx, actorOf(ctx), registry.Move{
		Person: registry.PersonID(in.ID), Agency: in.Body.Agency, Position: in.Body.Position, Roles: in.Body.Roles, Disable: in.Body.Disable,
		HandOver: in.Body.HandOver, KeepCertificates: in.Body.KeepCertificates, Reason: in.Body.Reason, At: at,
	})
	if err != nil {
		return nil, a.told(ctx, err)
	}
	return &movedOutput{Body: *moved}, nil
}

type codeInput struct {
	Body struct {
		Code string `json:"code" minLength:"1" maxLength:"64"`
	}
}

type factorOutput struct {
	Body struct {
		Secret  string `json:"secret" doc:"base32, shown once"`
		Address string `json:"address" doc:"otpauth: address for the QR code"`
	}
}

type factorStateOutput struct{ Body registry.TOTPState }

type preferenceInput struct{ Body exchange.Preference }

type preferenceOutput struct{ Body exchange.Preference }

// describeReminders are the calls about mail on deadlines.
func (a *api) describeReminders(described huma.API) {
	op := func(id, method, summary string, status int) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/v1/me/reminders", Tags: []string{"people"}, Summary: summary,
			Security: withToken(), DefaultStatus: status, MaxBodyBytes: maxJSON}
	}
	register(described, op("getReminders", http.MethodGet, "Tôi được nhắc việc thế nào / How I am reminded", 0),
		func(ctx context.Context, _ *struct{}) (*preferenceOutput, error) {
			p, err := a.service.Preference(ctx, actorOf(ctx))
			return &preferenceOutput{Body: p}, a.told(ctx, err)
		})
	register(described, op("setReminders", http.MethodPut, "Đặt nhắc việc / Set reminders", http.StatusNoContent),
		func(ctx context.Context, in *preferenceInput) (*struct{}, error) {
			return nil, a.told(ctx, a.service.SetPreference(ctx, actorOf(ctx), in.Body))
		})
}

// describeFactors are the calls about the second factor of a login (RFC 6238).
func (a *api) describeFactors(described huma.API) {
	op := func(id, method, path, summary string, status int) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/v1/" + path, Tags: []string{"sessions"}, Summary: summary,
			Security: withToken(), DefaultStatus: status, MaxBodyBytes: maxJSON}
	}
	register(described, op("getFactor", http.MethodGet, "me/second-factor", "Xác thực hai bước của tôi / My second factor", 0),
		func(ctx context.Context, _ *struct{}) (*factorStateOutput, error) {
			s, err := a.registry.TOTP(ctx, actorOf(ctx).Person)
			return &factorStateOutput{Body: s}, a.told(ctx, err)
		})
	register(described, op("beginFactor", http.MethodPost, "me/second-factor", "Bắt đầu đặt xác thực hai bước / Begin a second factor", 0),
		func(ctx context.Context, _ *struct{}) (*factorOutput, error) {
			out := &factorOutput{}
			var err error
			out.Body.Secret, out.Body.Address, err = a.registry.BeginTOTP(ctx, actorOf(ctx))
			return out, a.told(ctx, err)
		})
	register(described, op("confirmFactor", http.MethodPost, "me/second-factor/confirm", "Bật xác thực hai bước, nhận mã khôi phục / Put it in force, get the recovery codes", 0),
		func(ctx context.Context, in *codeInput) (*itemsOutput[string], error) {
			codes, err := a.registry.ConfirmTOTP(ctx, actorOf(ctx), in.Body.Code)
			return items(codes), a.told(ctx, err)
		})
	register(described, op("removeFactor", http.MethodPost, "me/second-factor/remove", "Tắt xác thực hai bước / Remove it", http.StatusNoContent),
		func(ctx context.Context, in *codeInput) (*struct{}, error) {
			by := actorOf(ctx)
			return nil, a.told(ctx, a.registry.RemoveTOTP(ctx, by, by.Person, in.Body.Code))
		})
	register(described, op("resetFactor", http.MethodDelete, "people/{id}/second-factor", "Gỡ xác thực hai bước của người mất máy / Remove somebody's, who lost the phone", http.StatusNoContent),
		func(ctx context.Context, in *personIDInput) (*struct{}, error) {
			return nil, a.told(ctx, a.registry.RemoveTOTP(ctx, actorOf(ctx), registry.PersonID(in.ID), ""))
		})
}
