package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"vanthu/exchange"
	"vanthu/signing"
	"vanthu/storage/ledger"
)

type draftForm struct {
	PDF            huma.FormFile `form:"pdf" contentType:"application/pdf,application/octet-stream" required:"true"`
	Type           string        `form:"type" doc:"one of /api/v1/document-types" required:"true"`
	Subject        string        `form:"subject" maxLength:"500" doc:"trích yếu" required:"true"`
	Notation       string        `form:"notation" maxLength:"30" doc:"ký hiệu; made from type and agency when absent" required:"false"`
	Place          string        `form:"place" maxLength:"50" required:"false"`
	Priority       int           `form:"priority" minimum:"0" maximum:"4" required:"false"`
	Due            string        `form:"due" doc:"hạn xử lý, YYYY-MM-DD" required:"false"`
	SignerName     string        `form:"signer_name" minLength:"1" maxLength:"50" required:"true"`
	SignerPosition string        `form:"signer_position" maxLength:"100" required:"false"`
	Competence     string        `form:"competence" maxLength:"100" doc:"quyền hạn ký: TM., Q., KT., TL., TUQ." required:"false"`
	Secrecy        string        `form:"secrecy" doc:"a secret document is refused (QĐ 28/2018 Điều 1.2)" required:"false"`
	Series         string        `form:"series" maxLength:"30" doc:"series of numbers; by the type when absent" required:"false"`
	Details        string        `form:"details" maxLength:"20000" doc:"JSON of Details: circulation, content, drafter, pages, copies, language, to_places, appendixes, copy_of" required:"false"`
}

type draftInput struct {
	RawBody huma.MultipartFormFiles[draftForm]
}

type documentOutput struct{ Body exchange.Document }

type documentIDInput struct {
	ID string `path:"id" maxLength:"64"`
}

type documentsInput struct {
	State string `query:"state" enum:"draft,initialled,approved,sealed,sent,cancelled"`
	Query string `query:"query" maxLength:"200" doc:"in subject, code and signer; marks and case are ignored"`
	Year  int    `query:"year" minimum:"2000" maximum:"9999"`
	After string `query:"after" maxLength:"200"`
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

type signInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Step       string `json:"step" enum:"initial,approve,seal" doc:"ký nháy, ký duyệt, đóng dấu"`
		Passphrase string `json:"passphrase" maxLength:"1024" doc:"of the stored key"`
		Profile    string `json:"profile,omitempty" enum:"adbe,pades-b-b,pades-b-t" doc:"pades-b-t when absent"`
		Image      []byte `json:"image,omitempty" doc:"PNG of the signature or the seal"`
		Invisible  bool   `json:"invisible,omitempty"`
	}
}

type signOutput struct {
	Body struct {
		Document exchange.Document `json:"document"`
		Report   *signing.Report   `json:"report"`
	}
}

type reasonInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"500"`
	}
}

type sendInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body recipientsBody
}

type sendOutput struct {
	Body struct {
		Document   exchange.Document   `json:"document"`
		Deliveries []exchange.Delivery `json:"deliveries"`
	}
}

type itemsOutput[T any] struct {
	Body struct {
		Items []T `json:"items"`
	}
}

func items[T any](list []T) *itemsOutput[T] {
	out := &itemsOutput[T]{}
	out.Body.Items = append([]T{}, list...)
	return out
}

type reportOutput struct{ Body *signing.Report }

func (a *api) describeDocuments(described huma.API) {
	tags := []string{"outgoing"}
	register(described, huma.Operation{
		OperationID: "draft", Method: http.MethodPost, Path: "/api/v1/documents", Tags: tags, Summary: "Tạo dự thảo / Draft a document",
		Security: withToken(), DefaultStatus: http.StatusCreated, MaxBodyBytes: a.maxBody,
	}, a.draft)
	register(described, huma.Operation{
		OperationID: "listDocuments", Method: http.MethodGet, Path: "/api/v1/documents", Tags: tags, Summary: "Văn bản đi / Outgoing documents", Security: withToken(),
	}, func(ctx context.Context, in *documentsInput) (*listOutput[exchange.Document], error) {
		found, err := a.service.Documents(ctx, actorOf(ctx), exchange.ListFilter{
			State: exchange.State(in.State), Query: in.Query, Year: in.Year, After: in.After, Limit: in.Limit,
		})
		if err != nil {
			return nil, a.told(ctx, err)
		}
		query := filled("state", in.State, "query", in.Query)
		if in.Year != 0 {
			query.Set("year", strconv.Itoa(in.Year))
		}
		return page("/api/v1/documents", query, found.Items, found.Next, in.Limit), nil
	})
	register(described, huma.Operation{
		OperationID: "getDocument", Method: http.MethodGet, Path: "/api/v1/documents/{id}", Tags: tags, Summary: "Một văn bản đi / One document", Security: withToken(),
	}, func(ctx context.Context, in *documentIDInput) (*documentOutput, error) {
		doc, err := a.service.Document(ctx, actorOf(ctx), exchange.DocumentID(in.ID))
		if err != nil {
			return nil, a.told(ctx, err)
		}
		return &documentOutput{Body: *doc}, nil
	})
	a.describeActs(described, tags)
	a.describeEvidence(described, tags)
}

func (a *api) draft(ctx context.Context, in *draftInput) (*documentOutput, error) {
	// The parts of a large upload lie in temporary files; they are ours to remove.
	defer in.RawBody.Form.RemoveAll() //nolint:errcheck // the system's folder for temporary files is swept anyway
	draft, err := draftOf(in.RawBody.Data())
	if err != nil {
		return nil, a.told(ctx, err)
	}
	doc, err := a.service.Draft(ctx, actorOf(ctx), draft)
	if err != nil {
		return nil, a.told(ctx, err)
	}
	return &documentOutput{Body: *doc}, nil
}

func (a *api) describeActs(described huma.API, tags []string) {
	register(described, huma.Operation{
		OperationID: "sign", Method: http.MethodPost, Path: "/api/v1/documents/{id}/signatures", Tags: tags, Summary: "Ký nháy, ký duyệt, đóng dấu / Initial, approve, seal",
		Security: withToken(), DefaultStatus: http.StatusCreated, MaxBodyBytes: 16 << 20,
	}, func(ctx context.Context, in *signInput) (*signOutput, error) {
		doc, report, err := a.service.Sign(ctx, actorOf(ctx), exchange.DocumentID(in.ID), exchange.SignInput{
			Step: exchange.Step(in.Body.Step), Passphrase: in.Body.Passphrase, Profile: signing.Profile(in.Body.Profile),
			Image: in.Body.Image, Invisible: in.Body.Invisible,
		})
		if err != nil {
			return nil, a.told(ctx, err)
		}
		out := &signOutput{}
		out.Body.Document, out.Body.Report = *doc, report
		return out, nil
	})
	register(described, huma.Operation{
		OperationID: "number", Method: http.MethodPost, Path: "/api/v1/documents/{id}/number", Tags: tags, Summary: "Cấp số / Take a number", Security: withToken(),
	}, func(ctx context.Context, in *documentIDInput) (*documentOutput, error) {
		doc, err := a.service.Number(ctx, actorOf(ctx), exchange.DocumentID(in.ID))
		if err != nil {
			return nil, a.told(ctx, err)
		}
		return &documentOutput{Body: *doc}, nil
	})
	register(described, huma.Operation{
		OperationID: "cancelNumber", Method: http.MethodPost, Path: "/api/v1/documents/{id}/cancel-number", Tags: tags, Summary: "Hủy số / Cancel the number",
		Security: withToken(), DefaultStatus: http.StatusNoContent, MaxBodyBytes: maxJSON,
	}, func(ctx context.Context, in *reasonInput) (*struct{}, error) {
		return nil, a.told(ctx, a.service.CancelNumber(ctx, actorOf(ctx), exchange.DocumentID(in.ID), in.Body.Reason))
	})
	register(described, huma.Operation{
		OperationID: "send", Method: http.MethodPost, Path: "/api/v1/documents/{id}/send", Tags: tags, Summary: "Phát hành / Send",
		Security: withToken(), MaxBodyBytes: maxJSON,
	}, func(ctx context.Context, in *sendInput) (*sendOutput, error) {
		to, err := a.recipients(ctx, &in.Body)
		if err != nil {
			return nil, a.told(ctx, err)
		}
		doc, deliveries, err := a.service.Send(ctx, actorOf(ctx), exchange.DocumentID(in.ID), to)
		if err != nil {
			return nil, a.told(ctx, err)
		}
		out := &sendOutput{}
		out.Body.Document, out.Body.Deliveries = *doc, deliveries
		return out, nil
	})
}

func (a *api) describeEvidence(described huma.API, tags []string) {
	document := func(id, suffix, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: http.MethodGet, Path: "/api/v1/documents/{id}/" + suffix, Tags: tags, Summary: summary, Security: withToken()}
	}
	register(described, document("getDeliveries", "deliveries", "Tình trạng gửi / Deliveries"),
		func(ctx context.Context, in *documentIDInput) (*itemsOutput[exchange.Delivery], error) {
			list, err := a.service.Deliveries(ctx, actorOf(ctx), exchange.DocumentID(in.ID))
			return items(list), a.told(ctx, err)
		})
	register(described, document("getReceipts", "receipts", "Biên nhận / Receipts"),
		func(ctx context.Context, in *documentIDInput) (*itemsOutput[exchange.Receipt], error) {
			list, err := a.service.Receipts(ctx, actorOf(ctx), exchange.DocumentID(in.ID))
			return items(list), a.told(ctx, err)
		})
	register(described, document("getTimeline", "timeline", "Nhật ký / Timeline"),
		func(ctx context.Context, in *documentIDInput) (*itemsOutput[exchange.Event], error) {
			list, err := a.service.Timeline(ctx, actorOf(ctx), exchange.DocumentID(in.ID))
			return items(list), a.told(ctx, err)
		})
	register(described, document("getReport", "report", "Kết quả kiểm tra chữ ký / Verdict"),
		func(ctx context.Context, in *documentIDInput) (*reportOutput, error) {
			report, err := a.service.Report(ctx, actorOf(ctx), exchange.DocumentID(in.ID))
			return &reportOutput{Body: report}, a.told(ctx, err)
		})
	register(described, bundleOperation(document("getReceiptBundle", "receipt", "Biên bản gửi nhận / Receipt bundle")), a.receiptBundle)
	register(described, document("getProof", "evidence/{entry}", "Chứng minh trong nhật ký minh bạch / Proof in the evidence log"),
		func(ctx context.Context, in *proofInput) (*proofOutput, error) {
			proof, err := a.service.Prove(ctx, actorOf(ctx), exchange.DocumentID(in.ID), ledger.EntryID(in.Entry))
			return &proofOutput{Body: proof}, a.told(ctx, err)
		})
	register(described, pdfOperation(document("getPDF", "pdf", "Tệp PDF / The PDF")),
		func(ctx context.Context, in *documentIDInput) (*huma.StreamResponse, error) {
			return a.pdf(ctx, func() (io.ReadCloser, int64, error) {
				return a.service.PDF(ctx, actorOf(ctx), exchange.DocumentID(in.ID))
			})
		})
}

// pdfOperation describes a call that answers with a PDF.
func pdfOperation(op huma.Operation) huma.Operation {
	op.Responses = map[string]*huma.Response{"200": {
		Description: "PDF", Content: map[string]*huma.MediaType{"application/pdf": {Schema: &huma.Schema{Type: "string", Format: "binary"}}},
	}}
	return op
}

// pdf answers with a stored PDF: as a stream, or by ranges where the caller asks for them.
func (a *api) pdf(ctx context.Context, open func() (io.ReadCloser, int64, error)) (*huma.StreamResponse, error) {
	body, size, err := open()
	if err != nil {
		return nil, a.told(ctx, err)
	}
	return &huma.StreamResponse{Body: func(call huma.Context) {
		defer body.Close() //nolint:errcheck // only read
		r, w := humago.Unwrap(call)
		w.Header().Set("Content-Type", "application/pdf")
		w.Header().Set("Content-Disposition", `inline; filename="document.pdf"`)
		if r.Header.Get("Range") != "" {
			data, err := io.ReadAll(io.LimitReader(body, a.maxBody))
			if err != nil {
				writeProblem(w, r, problemOf(a.log, ctx, fmt.Errorf("read the PDF: %w", err)))
				return
			}
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
			return
		}
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		if _, err := io.Copy(w, body); err != nil {
			// The head has gone out: the only way left to say that the bytes are not whole is to break the connection.
			panic(http.ErrAbortHandler)
		}
	}}, nil
}
