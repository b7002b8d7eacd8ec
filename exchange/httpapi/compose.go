package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/storage/blob"
)

type checkInput struct {
	Body struct {
		Type           string            `json:"type" maxLength:"20"`
		Subject        string            `json:"subject" maxLength:"5000"`
		Notation       string            `json:"notation,omitempty" maxLength:"500"`
		Place          string            `json:"place,omitempty" maxLength:"500"`
		Priority       int               `json:"priority,omitempty"`
		SignerName     string            `json:"signer_name,omitempty" maxLength:"500"`
		SignerPosition string            `json:"signer_position,omitempty" maxLength:"500"`
		Competence     string            `json:"competence,omitempty" maxLength:"500"`
		Secrecy        string            `json:"secrecy,omitempty" maxLength:"50"`
		Series         string            `json:"series,omitempty" maxLength:"30"`
		Details        *exchange.Details `json:"details,omitempty"`
		Digest         string            `json:"digest,omitempty" maxLength:"64" doc:"SHA-256 of the PDF, lower-case hex"`
	}
}

type checkOutput struct{ Body exchange.DraftCheck }

type reviseInput struct {
	ID      string `path:"id" maxLength:"64"`
	Note    string `query:"note" maxLength:"500" doc:"what is new"`
	RawBody huma.MultipartFormFiles[draftForm]
}

type scheduleInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		At string         `json:"at" format:"date-time" doc:"RFC 3339"`
		To recipientsBody `json:"to"`
	}
}

type seriesInput struct {
	Code string `path:"code" maxLength:"30"`
	Body struct {
		Name    string   `json:"name" minLength:"1" maxLength:"100"`
		Types   []string `json:"types,omitempty" maxItems:"50"`
		Symbol  string   `json:"symbol,omitempty" maxLength:"30"`
		Retired bool     `json:"retired,omitempty"`
	}
}

type cancelReservedInput struct {
	Body struct {
		Series string `json:"series,omitempty" maxLength:"30"`
		Year   int    `json:"year" minimum:"2000" maximum:"9999"`
		Number int    `json:"number" minimum:"1"`
		Reason string `json:"reason" minLength:"1" maxLength:"500"`
	}
}

type useReservedInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Number int `json:"number" minimum:"1"`
	}
}

// describeComposing are the calls about writing a draft, its number and paper.
func (a *api) describeComposing(described huma.API) {
	op := func(id, method, path, summary string, status int) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/v1/" + path, Tags: []string{"outgoing"}, Summary: summary,
			Security: withToken(), DefaultStatus: status, MaxBodyBytes: maxJSON}
	}
	document := func(ctx context.Context, doc *exchange.Document, err error) (*documentOutput, error) {
		if err != nil {
			return nil, a.told(ctx, err)
		}
		return &documentOutput{Body: *doc}, nil
	}
	check := op("checkDraft", http.MethodPost, "documents/check", "Kiểm tra khi soạn: từng trường, văn bản trùng / Check while composing: each field, duplicates", 0)
	check.Description = "Nothing is written."
	register(described, check, a.checkDraft)
	revise := op("revise", http.MethodPost, "documents/{id}/revise", "Bản dự thảo mới / A new version of a draft", 0)
	revise.MaxBodyBytes = a.maxBody
	register(described, revise, a.revise)
	register(described, op("listDocumentViews", http.MethodGet, "documents/{id}/views", "Ai đã mở / Who opened it", 0),
		func(ctx context.Context, in *documentIDInput) (*itemsOutput[exchange.View], error) {
			list, err := a.service.DocumentViews(ctx, actorOf(ctx), exchange.DocumentID(in.ID))
			return items(list), a.told(ctx, err)
		})
	register(described, op("sendLater", http.MethodPost, "documents/{id}/schedule", "Hẹn giờ gửi / Send at a time", 0),
		func(ctx context.Context, in *scheduleInput) (*documentOutput, error) {
			at, err := momentOf(in.Body.At)
			if err != nil {
				return nil, a.told(ctx, err)
			}
			to, err := a.recipients(ctx, &in.Body.To)
			if err != nil {
				return nil, a.told(ctx, err)
			}
			doc, err := a.service.SendLater(ctx, actorOf(ctx), exchange.DocumentID(in.ID), at, to)
			return document(ctx, doc, err)
		})
	register(described, op("cancelSendLater", http.MethodDelete, "documents/{id}/schedule", "Hủy giờ hẹn gửi / Take the time back", 0),
		func(ctx context.Context, in *documentIDInput) (*documentOutput, error) {
			doc, err := a.service.CancelSendLater(ctx, actorOf(ctx), exchange.DocumentID(in.ID))
			return document(ctx, doc, err)
		})
	register(described, op("numberReserved", http.MethodPost, "documents/{id}/reserved-number", "Dùng số đã giữ / Take a number that was kept", 0),
		func(ctx context.Context, in *useReservedInput) (*documentOutput, error) {
			doc, err := a.service.NumberReserved(ctx, actorOf(ctx), exchange.DocumentID(in.ID), in.Body.Number)
			return document(ctx, doc, err)
		})
	register(described, op("cancelReserved", http.MethodPost, "reserved-numbers/cancel", "Hủy số giữ / Cancel a number that was kept", http.StatusNoContent),
		func(ctx context.Context, in *cancelReservedInput) (*struct{}, error) {
			return nil, a.told(ctx, a.service.CancelReserved(ctx, actorOf(ctx), in.Body.Series, in.Body.Year, in.Body.Number, in.Body.Reason))
		})
	register(described, op("setSeries", http.MethodPut, "series/{code}", "Đặt hệ thống số / Set a series of numbers", http.StatusNoContent),
		func(ctx context.Context, in *seriesInput) (*struct{}, error) {
			return nil, a.told(ctx, a.service.SetSeries(ctx, actorOf(ctx), exchange.Series{Code: in.Code, Name: in.Body.Name, Types: in.Body.Types, Symbol: in.Body.Symbol, Retired: in.Body.Retired}))
		})
}

func (a *api) checkDraft(ctx context.Context, in *checkInput) (*checkOutput, error) {
	b := in.Body
	draft := exchange.DraftInput{Type: b.Type, Subject: b.Subject, Notation: b.Notation, Place: b.Place, Priority: exchange.Priority(b.Priority),
		SignerName: b.SignerName, SignerPosition: b.SignerPosition, Competence: b.Competence, Secrecy: b.Secrecy, Series: b.Series}
	if b.Details != nil {
		draft.Details = *b.Details
	}
	var digest blob.Digest
	if b.Digest != "" {
		var err error
		if digest, err = blob.ParseDigest(b.Digest); err != nil {
			return nil, a.told(ctx, registry.NewError(exchange.KindInvalid, "digest phải là SHA-256 dạng hex.", "digest must be a SHA-256 in hex."))
		}
	}
	check, err := a.service.CheckDraft(ctx, actorOf(ctx), draft, digest)
	if err != nil {
		return nil, a.told(ctx, err)
	}
	return &checkOutput{Body: *check}, nil
}

func (a *api) revise(ctx context.Context, in *reviseInput) (*documentOutput, error) {
	defer in.RawBody.Form.RemoveAll() //nolint:errcheck // the system's folder for temporary files is swept anyway
	draft, err := draftOf(in.RawBody.Data())
	if err != nil {
		return nil, a.told(ctx, err)
	}
	doc, err := a.service.Revise(ctx, actorOf(ctx), exchange.DocumentID(in.ID), draft, in.Note)
	if err != nil {
		return nil, a.told(ctx, err)
	}
	return &documentOutput{Body: *doc}, nil
}

// draftOf reads the form of a draft.
func draftOf(form *draftForm) (exchange.DraftInput, error) {
	draft := exchange.DraftInput{
		Type: form.Type, Subject: form.Subject, Notation: form.Notation, Place: form.Place, Priority: exchange.Priority(form.Priority), Series: form.Series,
		SignerName: form.SignerName, SignerPosition: form.SignerPosition, Competence: form.Competence, Secrecy: form.Secrecy, PDF: form.PDF.File,
	}
	if form.Due != "" {
		due, err := dayOf(form.Due)
		if err != nil {
			return draft, registry.NewError(exchange.KindInvalid, "Hạn xử lý phải có dạng YYYY-MM-DD.", "due must be YYYY-MM-DD.")
		}
		draft.Due = due
	}
	if form.Details != "" {
		reader := json.NewDecoder(bytes.NewReader([]byte(form.Details)))
		reader.DisallowUnknownFields()
		if err := reader.Decode(&draft.Details); err != nil {
			return draft, registry.NewError(exchange.KindInvalid, "details phải là JSON của các trường thông tin bổ sung.", "details must be JSON of the further fields.").Because(err)
		}
	}
	return draft, nil
}
