package httpapi

import (
	"context"
	"net/http"
	"net/url"

	"github.com/danielgtaylor/huma/v2"

	"vanthu/exchange"
)

type searchInput struct {
	Query string `query:"query" minLength:"1" maxLength:"500" required:"true" doc:"words, \"phrases\", numbers and symbols, codes of agencies; marks and case are ignored"`
	After string `query:"after" maxLength:"200" doc:"cursor: next of the page before"`
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

type handlingOutput struct{ Body exchange.Handling }

// describeSearch are the calls that find documents and tell how far their handling is.
func (a *api) describeSearch(described huma.API) {
	register(described, huma.Operation{
		OperationID: "search", Method: http.MethodGet, Path: "/api/v1/search", Tags: []string{"incoming", "outgoing"},
		Summary: "Tìm trong mọi văn bản của cơ quan / Search all documents of the agency", Security: withToken(),
	}, func(ctx context.Context, in *searchInput) (*listOutput[exchange.Found], error) {
		found, err := a.service.Search(ctx, actorOf(ctx), in.Query, in.After, in.Limit)
		if err != nil {
			return nil, a.told(ctx, err)
		}
		return page("/api/v1/search", url.Values{"query": {in.Query}}, found.Items, found.Next, in.Limit), nil
	})
	incoming := func(id, suffix, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: http.MethodGet, Path: "/api/v1/incoming/{id}/" + suffix, Tags: []string{"incoming"}, Summary: summary, Security: withToken()}
	}
	register(described, incoming("getHandling", "handling", "Xử lý tới đâu / How far the handling is"),
		func(ctx context.Context, in *incomingIDInput) (*handlingOutput, error) {
			handling, err := a.service.Handling(ctx, actorOf(ctx), exchange.IncomingID(in.ID))
			if err != nil {
				return nil, a.told(ctx, err)
			}
			return &handlingOutput{Body: handling}, nil
		})
}
