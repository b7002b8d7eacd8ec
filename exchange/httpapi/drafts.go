package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"vanthu/exchange"
)

type commentInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Text string `json:"text" minLength:"1" maxLength:"500"`
	}
}

type reserveInput struct {
	Body struct {
		Series  string `json:"series,omitempty" maxLength:"30" doc:"code; administrative documents when absent"`
		Count   int    `json:"count" minimum:"1" maximum:"50"`
		Purpose string `json:"purpose" minLength:"1" maxLength:"500"`
	}
}

// describeDrafts are the calls about the way of a draft to its number: versions, words, series, kept numbers.
func (a *api) describeDrafts(described huma.API) {
	op := func(id, method, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/v1/" + path, Tags: []string{"outgoing"}, Summary: summary,
			Security: withToken(), MaxBodyBytes: maxJSON}
	}
	document := func(ctx context.Context, doc *exchange.Document, err error) (*documentOutput, error) {
		if err != nil {
			return nil, a.told(ctx, err)
		}
		return &documentOutput{Body: *doc}, nil
	}
	register(described, op("listVersions", http.MethodGet, "documents/{id}/versions", "Các phiên bản dự thảo / Versions of a draft"),
		func(ctx context.Context, in *documentIDInput) (*itemsOutput[exchange.DraftVersion], error) {
			list, err := a.service.DraftVersions(ctx, actorOf(ctx), exchange.DocumentID(in.ID))
			return items(list), a.told(ctx, err)
		})
	register(described, op("listComments", http.MethodGet, "documents/{id}/comments", "Ý kiến về dự thảo / What was said about a draft"),
		func(ctx context.Context, in *documentIDInput) (*itemsOutput[exchange.Comment], error) {
			list, err := a.service.Comments(ctx, actorOf(ctx), exchange.DocumentID(in.ID))
			return items(list), a.told(ctx, err)
		})
	register(described, op("commentDraft", http.MethodPost, "documents/{id}/comments", "Góp ý dự thảo / Comment on a draft"),
		func(ctx context.Context, in *commentInput) (*documentOutput, error) {
			doc, err := a.service.CommentDraft(ctx, actorOf(ctx), exchange.DocumentID(in.ID), in.Body.Text)
			return document(ctx, doc, err)
		})
	register(described, op("returnDraft", http.MethodPost, "documents/{id}/return", "Trả lại dự thảo / Return a draft"),
		func(ctx context.Context, in *reasonInput) (*documentOutput, error) {
			doc, err := a.service.ReturnDraft(ctx, actorOf(ctx), exchange.DocumentID(in.ID), in.Body.Reason)
			return document(ctx, doc, err)
		})
	register(described, op("listSeries", http.MethodGet, "series", "Các hệ thống số / Series of numbers"),
		func(ctx context.Context, _ *struct{}) (*itemsOutput[exchange.Series], error) {
			list, err := a.service.SeriesList(ctx, actorOf(ctx))
			return items(list), a.told(ctx, err)
		})
	register(described, op("listReserved", http.MethodGet, "reserved-numbers", "Các số đang giữ / Numbers kept"),
		func(ctx context.Context, _ *struct{}) (*itemsOutput[exchange.ReservedNumber], error) {
			list, err := a.service.ReservedNumbers(ctx, actorOf(ctx))
			return items(list), a.told(ctx, err)
		})
	register(described, op("reserve", http.MethodPost, "reserved-numbers", "Giữ số / Keep numbers for documents to come"),
		func(ctx context.Context, in *reserveInput) (*itemsOutput[exchange.ReservedNumber], error) {
			list, err := a.service.Reserve(ctx, actorOf(ctx), in.Body.Series, in.Body.Count, in.Body.Purpose)
			return items(list), a.told(ctx, err)
		})
}
