package httpapi

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

// RateInput narrows the exchange rate. It is exported because the description reads embedded fields of exported types only.
type RateInput struct {
	From   string `query:"from" required:"true" doc:"first day, YYYY-MM-DD, Vietnam time"`
	To     string `query:"to" required:"true" doc:"last day"`
	Agency string `query:"agency" maxLength:"35" doc:"that issued the documents"`
	Below  bool   `query:"below" doc:"with the agencies below it"`
	Level  string `query:"level" maxLength:"50"`
	Type   string `query:"type" maxLength:"20"`
	Period string `query:"period" enum:"week,month,quarter" doc:"fills by_period"`
}

func (in *RateInput) query() (exchange.RateQuery, error) {
	from, to, err := daysOf(in.From, in.To)
	return exchange.RateQuery{From: from, To: to, Agency: registry.AgencyID(in.Agency), Below: in.Below, Level: in.Level, Type: in.Type, Period: in.Period}, err
}

type gapInput struct {
	RateInput
	Of    string `query:"of" enum:"document,delivery" required:"true"`
	Cause string `query:"cause" maxLength:"40" required:"true" doc:"code of a cause that /api/v1/rate names"`
	After string `query:"after" maxLength:"200" doc:"cursor: next of the page before"`
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

type recomputedOutput struct{ Body *exchange.Recomputed }

type paperInput struct {
	Body struct {
		Type           string              `json:"type" maxLength:"20"`
		Subject        string              `json:"subject" minLength:"1" maxLength:"500"`
		Notation       string              `json:"notation,omitempty" maxLength:"30"`
		Place          string              `json:"place,omitempty" maxLength:"50"`
		Priority       int                 `json:"priority,omitempty" minimum:"0" maximum:"4"`
		SignerName     string              `json:"signer_name" minLength:"1" maxLength:"50"`
		SignerPosition string              `json:"signer_position,omitempty" maxLength:"100"`
		Competence     string              `json:"competence,omitempty" maxLength:"100"`
		Reason         string              `json:"reason" maxLength:"40" doc:"why it is on paper: recipient, outage, choice"`
		Recipients     []registry.AgencyID `json:"recipients,omitempty" maxItems:"10000"`
		Others         string              `json:"others,omitempty" maxLength:"1000" doc:"recipients without a code"`
		Note           string              `json:"note,omitempty" maxLength:"500"`
		Secrecy        string              `json:"secrecy,omitempty" maxLength:"50" doc:"a secret document is refused"`
	}
}

type paperNoteInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Note string `json:"note,omitempty" maxLength:"500"`
	}
}

// describeRate are the calls about the exchange rate, its causes and what is on paper.
func (a *api) describeRate(described huma.API) {
	op := func(id, method, path, summary string, status int) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/v1/" + path, Tags: []string{"reports"}, Summary: summary,
			Security: withToken(), DefaultStatus: status, MaxBodyBytes: maxJSON}
	}
	register(described, op("rate", http.MethodGet, "rate", "Tỷ lệ theo cơ quan, cấp, loại, kỳ / The rate by agency, level, type, period", 0),
		func(ctx context.Context, in *RateInput) (*statsOutput, error) {
			query, err := in.query()
			if err != nil {
				return nil, a.told(ctx, err)
			}
			stats, err := a.service.Rate(ctx, actorOf(ctx), query)
			if err != nil {
				return nil, a.told(ctx, err)
			}
			return &statsOutput{Body: stats}, nil
		})
	register(described, op("gap", http.MethodGet, "gap", "Các văn bản sau một nguyên nhân / The documents behind a cause", 0), a.gap)
	register(described, op("recomputeRate", http.MethodGet, "rate/recomputed", "Tính lại tỷ lệ từ nhật ký / The rate from the evidence log", 0),
		func(ctx context.Context, in *RateInput) (*recomputedOutput, error) {
			query, err := in.query()
			if err != nil {
				return nil, a.told(ctx, err)
			}
			out, err := a.service.Recompute(ctx, actorOf(ctx), query)
			if err != nil {
				return nil, a.told(ctx, err)
			}
			return &recomputedOutput{Body: out}, nil
		})
	register(described, op("registerPaper", http.MethodPost, "paper", "Vào sổ văn bản giấy / Register a document issued on paper only", http.StatusCreated), a.paper)
	register(described, op("alsoOnPaper", http.MethodPost, "documents/{id}/paper", "Gửi thêm bản giấy / Sent on paper as well", http.StatusNoContent),
		func(ctx context.Context, in *paperNoteInput) (*struct{}, error) {
			return nil, a.told(ctx, a.service.AlsoOnPaper(ctx, actorOf(ctx), exchange.DocumentID(in.ID), in.Body.Note))
		})
	register(described, op("countSecret", http.MethodPost, "paper/secret", "Đếm một văn bản mật / Count a secret document", http.StatusNoContent),
		func(ctx context.Context, _ *struct{}) (*struct{}, error) {
			return nil, a.told(ctx, a.service.CountSecret(ctx, actorOf(ctx)))
		})
}

func (a *api) gap(ctx context.Context, in *gapInput) (*listOutput[exchange.GapItem], error) {
	query, err := in.query()
	if err != nil {
		return nil, a.told(ctx, err)
	}
	found, err := a.service.Gap(ctx, actorOf(ctx), exchange.GapQuery{RateQuery: query, Of: in.Of, Cause: in.Cause, After: in.After, Limit: in.Limit})
	if err != nil {
		return nil, a.told(ctx, err)
	}
	again := filled("from", in.From, "to", in.To, "agency", in.Agency, "level", in.Level, "type", in.Type, "of", in.Of, "cause", in.Cause)
	if in.Below {
		again.Set("below", strconv.FormatBool(in.Below))
	}
	return page("/api/v1/gap", again, found.Items, found.Next, in.Limit), nil
}

func (a *api) paper(ctx context.Context, in *paperInput) (*documentOutput, error) {
	b := &in.Body
	doc, err := a.service.RegisterPaper(ctx, actorOf(ctx), exchange.PaperInput{
		Type: b.Type, Subject: b.Subject, Notation: b.Notation, Place: b.Place, Priority: exchange.Priority(b.Priority), SignerName: b.SignerName,
		SignerPosition: b.SignerPosition, Competence: b.Competence, Reason: b.Reason, Recipients: b.Recipients, Others: b.Others, Note: b.Note, Secrecy: b.Secrecy,
	})
	if err != nil {
		return nil, a.told(ctx, err)
	}
	return &documentOutput{Body: *doc}, nil
}
