package httpapi

import (
	"context"
	"crypto/x509"
	"io"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"vanthu/exchange"
	"vanthu/signing"
)

// ticketPath is where tickets are given back; what follows it is a secret.
const ticketPath = "/api/v1/signing-tickets/"

// loggedPath is a path without the ticket in it.
func loggedPath(path string) string {
	if rest, ok := strings.CutPrefix(path, ticketPath); ok {
		_, door, _ := strings.Cut(rest, "/")
		return ticketPath + "*/" + door
	}
	return path
}

type beginInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Step        string   `json:"step" enum:"initial,approve,seal" doc:"ký nháy, ký duyệt, đóng dấu"`
		Certificate []byte   `json:"certificate,omitempty" doc:"DER of the certificate that will sign; the newest registered one when absent"`
		Chain       [][]byte `json:"chain,omitempty" maxItems:"8" doc:"DER of its issuers"`
		Profile     string   `json:"profile,omitempty" enum:"adbe,pades-b-b,pades-b-t,pades-b-lt,pades-b-lta" doc:"pades-b-t when absent"`
		Image       []byte   `json:"image,omitempty" doc:"PNG of the signature or the seal"`
		Invisible   bool     `json:"invisible,omitempty"`
	}
}

type ticketInput struct {
	Ticket string `path:"ticket" maxLength:"64"`
}

type ticketOutput struct{ Body *exchange.Ticket }

type returnInput struct {
	Ticket string `path:"ticket" maxLength:"64"`
	Body   struct {
		Signature []byte `json:"signature,omitempty" maxLength:"8192" doc:"the value over the signed attributes: PKCS#1 v1.5, ECDSA in DER, or Ed25519"`
		CMS       []byte `json:"cms,omitempty" maxLength:"262144" doc:"or a whole detached SignedData in DER over the digest"`
	}
}

type signedForm struct {
	PDF huma.FormFile `form:"pdf" contentType:"application/pdf,application/octet-stream" required:"true"`
}

type uploadInput struct {
	Ticket  string `path:"ticket" maxLength:"64"`
	RawBody huma.MultipartFormFiles[signedForm]
}

// describeTickets declares the signatures that are made where the key is: a ticket out, the signature back. Whoever holds
// a ticket may read what it is for and give the signature back, without a token: nothing but the right key's signature is
// taken. The file itself goes out and in only with a token.
func (a *api) describeTickets(described huma.API) {
	tags := []string{"outgoing"}
	register(described, huma.Operation{
		OperationID: "beginSigning", Method: http.MethodPost, Path: "/api/v1/documents/{id}/signing-tickets", Tags: tags,
		Summary: "Phiếu ký một lần cho khóa ở ngoài / A one-time ticket for a key kept elsewhere", Security: withToken(), DefaultStatus: http.StatusCreated, MaxBodyBytes: 16 << 20,
	}, a.beginSigning)
	register(described, huma.Operation{
		OperationID: "openTicket", Method: http.MethodGet, Path: ticketPath + "{ticket}", Tags: tags, Summary: "Phiếu ký cho việc gì / What a ticket is for",
	}, func(ctx context.Context, in *ticketInput) (*ticketOutput, error) {
		ticket, err := a.service.OpenTicket(ctx, in.Ticket)
		return &ticketOutput{Body: ticket}, a.told(ctx, err)
	})
	register(described, huma.Operation{
		OperationID: "finishSigning", Method: http.MethodPost, Path: ticketPath + "{ticket}", Tags: tags, Summary: "Trả chữ ký / Give the signature back", MaxBodyBytes: 1 << 20,
	}, func(ctx context.Context, in *returnInput) (*signOutput, error) {
		return a.signedBy(ctx)(a.service.FinishSigning(ctx, in.Ticket, signing.Returned{Signature: in.Body.Signature, CMS: in.Body.CMS}))
	})
	register(described, pdfOperation(huma.Operation{
		OperationID: "ticketPDF", Method: http.MethodGet, Path: ticketPath + "{ticket}/pdf", Tags: tags, Summary: "Tệp để ký bằng phần mềm khác / The file to sign with another program", Security: withToken(),
	}), func(ctx context.Context, in *ticketInput) (*huma.StreamResponse, error) {
		return a.pdf(ctx, func() (io.ReadCloser, int64, error) { return a.service.TicketPDF(ctx, in.Ticket) })
	})
	register(described, huma.Operation{
		OperationID: "uploadSigned", Method: http.MethodPost, Path: ticketPath + "{ticket}/pdf", Tags: tags, Summary: "Tải lên tệp đã ký / Upload the signed file", Security: withToken(), MaxBodyBytes: a.maxBody,
	}, func(ctx context.Context, in *uploadInput) (*signOutput, error) {
		defer in.RawBody.Form.RemoveAll() //nolint:errcheck // the system's folder for temporary files is swept anyway
		return a.signedBy(ctx)(a.service.UploadSigned(ctx, in.Ticket, in.RawBody.Data().PDF.File))
	})
}

func (a *api) beginSigning(ctx context.Context, in *beginInput) (*ticketOutput, error) {
	t := exchange.TicketInput{Step: exchange.Step(in.Body.Step), Profile: signing.Profile(in.Body.Profile), Image: in.Body.Image, Invisible: in.Body.Invisible}
	ders := in.Body.Chain
	if len(in.Body.Certificate) > 0 {
		ders = append([][]byte{in.Body.Certificate}, ders...)
	}
	for i, der := range ders {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, a.told(ctx, exchange.NotACertificate(err))
		}
		if i == 0 && len(in.Body.Certificate) > 0 {
			t.Certificate = c
			continue
		}
		t.Chain = append(t.Chain, c)
	}
	ticket, err := a.service.BeginSigning(ctx, actorOf(ctx), exchange.DocumentID(in.ID), t)
	return &ticketOutput{Body: ticket}, a.told(ctx, err)
}

// signedBy answers with a signed document.
func (a *api) signedBy(ctx context.Context) func(*exchange.Document, *signing.Report, error) (*signOutput, error) {
	return func(doc *exchange.Document, report *signing.Report, err error) (*signOutput, error) {
		if err != nil {
			return nil, a.told(ctx, err)
		}
		out := &signOutput{}
		out.Body.Document, out.Body.Report = *doc, report
		return out, nil
	}
}
