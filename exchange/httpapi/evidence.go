package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"vanthu/exchange"
	"vanthu/exchange/receipt"
	"vanthu/exchange/registry"
	"vanthu/storage/ledger/logproof"
)

type proofInput struct {
	ID    string `path:"id" format:"uuid"`
	Entry string `path:"entry" format:"uuid"`
}

type proofOutput struct{ Body *logproof.Proof }

type bundleInput struct {
	ID       string   `path:"id" format:"uuid"`
	Document bool     `query:"document" doc:"kèm tệp PDF của văn bản / with the document itself"`
	For      []string `query:"for" maxItems:"1000" doc:"chỉ nói về những nơi nhận này / speak of these recipients only"`
}

// bundleOperation describes an answer that is a receipt bundle.
func bundleOperation(op huma.Operation) huma.Operation {
	op.Responses = map[string]*huma.Response{"200": {
		Description: "Gói ASiC-E / ASiC-E container",
		Content:     map[string]*huma.MediaType{receipt.MediaType: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
	}}
	return op
}

// receiptBundle gives the receipt bundle of a document as it stands now.
func (a *api) receiptBundle(ctx context.Context, in *bundleInput) (*huma.StreamResponse, error) {
	only := make([]registry.AgencyID, len(in.For))
	for i, code := range in.For {
		only[i] = registry.AgencyID(code)
	}
	bundle, err := a.service.ReceiptBundle(ctx, actorOf(ctx), exchange.DocumentID(in.ID), in.Document, only...)
	if err != nil {
		return nil, a.told(ctx, err)
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		ctx.SetHeader("Content-Type", receipt.MediaType)
		ctx.SetHeader("Content-Disposition", `attachment; filename="`+bundle.Name+`"`)
		ctx.SetHeader("Cache-Control", "private, no-store")
		ctx.SetStatus(http.StatusOK)
		_, _ = ctx.BodyWriter().Write(bundle.Data) // a reader that went away is no error of ours
	}}, nil
}
