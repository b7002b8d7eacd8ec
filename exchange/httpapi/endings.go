package httpapi

import (
	"context"
	"encoding/pem"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

// newAgency is an agency that begins with a succession, or, by its id alone, one that is there.
type newAgency struct {
	ID     registry.AgencyID `json:"id" minLength:"1" maxLength:"35"`
	Name   string            `json:"name,omitempty" maxLength:"200" doc:"absent: the agency is there already"`
	Symbol string            `json:"symbol,omitempty" maxLength:"30"`
	Place  string            `json:"place,omitempty" maxLength:"50"`
	Level  string            `json:"level,omitempty" maxLength:"50"`
	Mail   string            `json:"mail,omitempty" maxLength:"254"`
	Parent registry.AgencyID `json:"parent,omitempty" maxLength:"35"`
	Legacy string            `json:"legacy_code,omitempty" maxLength:"13"`
}

func (n *newAgency) agency() registry.Agency {
	return registry.Agency{ID: n.ID, Name: n.Name, Symbol: n.Symbol, Place: n.Place, Level: n.Level, Mail: n.Mail, Parent: n.Parent, LegacyCode: n.Legacy, Channel: registry.ChannelLocal}
}

type mergeAgenciesInput struct {
	Body struct {
		From     []registry.AgencyID `json:"from" minItems:"1" maxItems:"100"`
		Into     newAgency           `json:"into"`
		Children bool                `json:"children,omitempty" doc:"the agencies below go below the successor"`
	}
}

type splitAgencyInput struct {
	ID   string `path:"id" maxLength:"35"`
	Body struct {
		Into     []newAgency       `json:"into" minItems:"2" maxItems:"100"`
		Heir     registry.AgencyID `json:"heir" minLength:"1" maxLength:"35" doc:"takes over what is under way"`
		Children bool              `json:"children,omitempty"`
	}
}

type closeAgencyInput struct {
	ID   string `path:"id" maxLength:"35"`
	Body struct {
		Heir     registry.AgencyID `json:"heir,omitempty" maxLength:"35" doc:"takes over what is under way; nobody when absent"`
		Children bool              `json:"children,omitempty"`
	}
}

type renameAgencyInput struct {
	ID   string `path:"id" maxLength:"35"`
	Body struct {
		Name       string            `json:"name,omitempty" maxLength:"200"`
		Symbol     string            `json:"symbol,omitempty" maxLength:"30"`
		Place      string            `json:"place,omitempty" maxLength:"50"`
		Mail       string            `json:"mail,omitempty" maxLength:"254"`
		Code       registry.AgencyID `json:"code,omitempty" maxLength:"35" doc:"a new identification code"`
		LegacyCode string            `json:"legacy_code,omitempty" maxLength:"13"`
	}
}

type successionOutput struct{ Body exchange.SuccessionResult }

type capabilitiesOutput struct{ Body exchange.Capabilities }

// certificateView is a registered certificate as programs get it.
type certificateView struct {
	Fingerprint string    `json:"fingerprint" doc:"SHA-256, lower-case hex"`
	Subject     string    `json:"subject"`
	Issuer      string    `json:"issuer"`
	Serial      string    `json:"serial"`
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
	Added       time.Time `json:"added"`
	ValidFrom   time.Time `json:"valid_from,omitzero" doc:"it speaks for the owner from then on"`
	ValidTo     time.Time `json:"valid_to,omitzero" doc:"and no longer from then on"`
	Revoked     time.Time `json:"revoked,omitzero"`
	Reason      string    `json:"reason,omitempty"`
	Holds       bool      `json:"holds" doc:"speaks for its owner now"`
	PEM         string    `json:"pem"`
}

// describeEndings are the calls that end agencies, and what is known of one before something is sent to it.
func (a *api) describeEndings(described huma.API) {
	op := func(id, method, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/v1/" + path, Tags: []string{"registry"}, Summary: summary,
			Security: withToken(), MaxBodyBytes: maxJSON}
	}
	done := func(ctx context.Context, r *exchange.SuccessionResult, err error) (*successionOutput, error) {
		if err != nil {
			return nil, a.told(ctx, err)
		}
		return &successionOutput{Body: *r}, nil
	}
	register(described, op("mergeAgencies", http.MethodPost, "agencies/merge", "Hợp nhất, sáp nhập / Merge agencies"),
		func(ctx context.Context, in *mergeAgenciesInput) (*successionOutput, error) {
			r, err := a.service.Merge(ctx, actorOf(ctx), in.Body.From, in.Body.Into.agency(), exchange.SuccessionOptions{Children: in.Body.Children})
			return done(ctx, r, err)
		})
	register(described, op("splitAgency", http.MethodPost, "agencies/{id}/split", "Chia, tách / Split an agency"),
		func(ctx context.Context, in *splitAgencyInput) (*successionOutput, error) {
			into := make([]registry.Agency, len(in.Body.Into))
			for i := range in.Body.Into {
				into[i] = in.Body.Into[i].agency()
			}
			r, err := a.service.Split(ctx, actorOf(ctx), registry.AgencyID(in.ID), into, in.Body.Heir, exchange.SuccessionOptions{Children: in.Body.Children})
			return done(ctx, r, err)
		})
	register(described, op("closeAgency", http.MethodPost, "agencies/{id}/close", "Giải thể / Close an agency"),
		func(ctx context.Context, in *closeAgencyInput) (*successionOutput, error) {
			r, err := a.service.CloseAgency(ctx, actorOf(ctx), registry.AgencyID(in.ID), in.Body.Heir, exchange.SuccessionOptions{Children: in.Body.Children})
			return done(ctx, r, err)
		})
	register(described, op("renameAgency", http.MethodPost, "agencies/{id}/rename", "Đổi tên, đổi mã / Rename an agency"),
		func(ctx context.Context, in *renameAgencyInput) (*successionOutput, error) {
			b := in.Body
			r, err := a.service.Rename(ctx, actorOf(ctx), registry.AgencyID(in.ID), exchange.Renaming{Name: b.Name, Symbol: b.Symbol, Place: b.Place, Mail: b.Mail, Code: b.Code, LegacyCode: b.LegacyCode})
			return done(ctx, r, err)
		})
	register(described, op("getCapabilities", http.MethodGet, "agencies/{id}/capabilities", "Nơi này nhận được gì / What an agency takes, asked before sending"),
		func(ctx context.Context, in *agencyIDInput) (*capabilitiesOutput, error) {
			c, err := a.service.CapabilitiesOf(ctx, in.ID)
			if err != nil {
				return nil, a.told(ctx, err)
			}
			return &capabilitiesOutput{Body: *c}, nil
		})
	register(described, op("listCertificates", http.MethodGet, "agencies/{id}/certificates", "Chứng thư của cơ quan / Certificates of an agency"), a.certificates)
}

func (a *api) certificates(ctx context.Context, in *agencyIDInput) (*itemsOutput[certificateView], error) {
	agency, err := a.registry.Agency(ctx, registry.AgencyID(in.ID))
	if err != nil {
		return nil, a.told(ctx, err)
	}
	list, err := a.registry.Certificates(ctx, registry.AgencyOwner(agency.ID))
	if err != nil {
		return nil, a.told(ctx, err)
	}
	now := a.keep.now()
	out := make([]certificateView, len(list))
	for i := range list {
		c := &list[i]
		x := c.Certificate
		out[i] = certificateView{Fingerprint: c.Fingerprint, Subject: x.Subject.String(), Issuer: x.Issuer.String(), Serial: x.SerialNumber.Text(16),
			NotBefore: x.NotBefore, NotAfter: x.NotAfter, Added: c.Added, ValidFrom: c.ValidFrom, ValidTo: c.ValidTo, Revoked: c.Revoked, Reason: c.Reason,
			Holds: c.ValidAt(now) && !now.Before(x.NotBefore) && now.Before(x.NotAfter), PEM: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: x.Raw}))}
	}
	return items(out), nil
}
