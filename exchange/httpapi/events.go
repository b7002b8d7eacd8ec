package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"vanthu/exchange/eventstream"
)

type eventsInput struct {
	LastEventID string `header:"Last-Event-ID" maxLength:"20" doc:"number of the last event seen; the stream goes on after it"`
	After       string `query:"after" maxLength:"20" doc:"as Last-Event-ID, for readers that cannot set headers; what happens from now on when both are absent"`
	Kinds       string `query:"kinds" maxLength:"500" doc:"kinds parted by commas, document.* for a group; all when absent"`
}

func (a *api) describeEvents(described huma.API) {
	register(described, huma.Operation{
		OperationID: "events", Method: http.MethodGet, Path: "/api/v1/events", Tags: []string{"events"}, Summary: "Sự kiện của cơ quan (SSE) / Events of the agency (server-sent events)",
		Description: "id is the event's number in the agency, without a gap; event its kind; data an Announcement as JSON. A comment every 15 s shows that the stream lives.",
		Security:    withToken(),
		Responses: map[string]*huma.Response{"200": {
			Description: "text/event-stream", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: "string"}}},
		}},
	}, a.events)
}

func (a *api) events(ctx context.Context, in *eventsInput) (*huma.StreamResponse, error) {
	by := actorOf(ctx)
	after, err := eventstream.From(ctx, a.service, by, in.LastEventID, in.After)
	if err != nil {
		return nil, a.told(ctx, err)
	}
	leave, ok := a.streams.Enter(by.Tag())
	if !ok {
		return nil, a.told(ctx, eventstream.Full())
	}
	return &huma.StreamResponse{Body: func(call huma.Context) {
		defer leave()
		r, w := humago.Unwrap(call)
		eventstream.Serve(r.Context(), w, a.service, by, after, eventstream.Options{Wants: eventstream.Kinds(in.Kinds)})
	}}, nil
}
