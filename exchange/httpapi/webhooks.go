package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/exchange/webhook"
)

type webhookBody struct {
	URL         string   `json:"url" minLength:"1" maxLength:"2000" doc:"https"`
	Description string   `json:"description,omitempty" maxLength:"200"`
	Events      []string `json:"events,omitempty" maxItems:"50" doc:"kinds such as document.sent, or document.* for a group; every event when absent"`
}

func (b webhookBody) input() webhook.Input {
	return webhook.Input{URL: b.URL, Description: b.Description, Events: b.Events}
}

type addWebhookInput struct {
	Agency string `query:"agency" maxLength:"35" doc:"the own agency when absent"`
	Body   webhookBody
}

type webhookIDInput struct {
	ID string `path:"id" maxLength:"64"`
}

type changeWebhookInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body webhookBody
}

type rotateWebhookInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		OverlapHours int `json:"overlap_hours,omitempty" minimum:"0" maximum:"168" doc:"how long the old secret signs too"`
	}
}

type webhookSecretOutput struct {
	Body struct {
		Webhook webhook.Subscription `json:"webhook"`
		Secret  string               `json:"secret" doc:"shown once; Standard Webhooks: whsec_ and base64"`
	}
}

type webhookOutput struct{ Body webhook.Subscription }

type webhooksInput struct {
	Agency string `query:"agency" maxLength:"35" doc:"the own agency when absent"`
}

type replayInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		From int64 `json:"from" minimum:"1" doc:"number of the first message"`
		To   int64 `json:"to,omitempty" minimum:"0" doc:"of the last; that one message when absent"`
	}
}

type countOutput struct {
	Body struct {
		Count int64 `json:"count"`
	}
}

type skipInput struct {
	ID  string `path:"id" maxLength:"64"`
	Seq int64  `path:"seq" minimum:"1"`
}

type webhookLogInput struct {
	ID    string `path:"id" maxLength:"64"`
	After string `query:"after" maxLength:"64" doc:"cursor: the last one seen; newest come first"`
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

type messageOutput struct{ Body webhook.Message }

func (a *api) describeWebhooks(described huma.API) {
	if a.webhooks == nil {
		return
	}
	op := func(id, method, suffix, summary string, status int) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/v1/webhooks" + suffix, Tags: []string{"webhooks"}, Summary: summary,
			Security: withToken(), DefaultStatus: status, MaxBodyBytes: maxJSON}
	}
	register(described, op("addWebhook", http.MethodPost, "", "Thêm webhook / Add a webhook", http.StatusCreated),
		func(ctx context.Context, in *addWebhookInput) (*webhookSecretOutput, error) {
			s, secret, err := a.webhooks.Add(ctx, actorOf(ctx), registry.AgencyID(in.Agency), in.Body.input())
			return a.webhookSecret(ctx, s, secret, err)
		})
	register(described, op("listWebhooks", http.MethodGet, "", "Các webhook / Webhooks", 0),
		func(ctx context.Context, in *webhooksInput) (*itemsOutput[webhook.Subscription], error) {
			list, err := a.webhooks.List(ctx, actorOf(ctx), registry.AgencyID(in.Agency))
			return items(list), a.told(ctx, err)
		})
	register(described, op("getWebhook", http.MethodGet, "/{id}", "Một webhook / One webhook", 0),
		func(ctx context.Context, in *webhookIDInput) (*webhookOutput, error) {
			return a.webhook(ctx)(a.webhooks.Get(ctx, actorOf(ctx), webhook.ID(in.ID)))
		})
	register(described, op("changeWebhook", http.MethodPut, "/{id}", "Sửa webhook / Change a webhook", 0),
		func(ctx context.Context, in *changeWebhookInput) (*webhookOutput, error) {
			return a.webhook(ctx)(a.webhooks.Change(ctx, actorOf(ctx), webhook.ID(in.ID), in.Body.input()))
		})
	register(described, op("removeWebhook", http.MethodDelete, "/{id}", "Xóa webhook / Remove a webhook", http.StatusNoContent),
		func(ctx context.Context, in *webhookIDInput) (*struct{}, error) {
			return nil, a.told(ctx, a.webhooks.Remove(ctx, actorOf(ctx), webhook.ID(in.ID)))
		})
	register(described, op("pauseWebhook", http.MethodPost, "/{id}/pause", "Tạm dừng / Pause", 0),
		func(ctx context.Context, in *webhookIDInput) (*webhookOutput, error) {
			return a.webhook(ctx)(a.webhooks.Pause(ctx, actorOf(ctx), webhook.ID(in.ID)))
		})
	register(described, op("resumeWebhook", http.MethodPost, "/{id}/resume", "Cho chạy lại / Resume", 0),
		func(ctx context.Context, in *webhookIDInput) (*webhookOutput, error) {
			return a.webhook(ctx)(a.webhooks.Resume(ctx, actorOf(ctx), webhook.ID(in.ID)))
		})
	register(described, op("rotateWebhookSecret", http.MethodPost, "/{id}/secret", "Đổi khóa / Change the secret", http.StatusCreated),
		func(ctx context.Context, in *rotateWebhookInput) (*webhookSecretOutput, error) {
			s, secret, err := a.webhooks.Rotate(ctx, actorOf(ctx), webhook.ID(in.ID), time.Duration(in.Body.OverlapHours)*time.Hour)
			return a.webhookSecret(ctx, s, secret, err)
		})
	a.describeWebhookMessages(described, op)
}

func (a *api) describeWebhookMessages(described huma.API, op func(id, method, suffix, summary string, status int) huma.Operation) {
	register(described, op("testWebhook", http.MethodPost, "/{id}/test", "Gửi thử / Send a test message", http.StatusAccepted),
		func(ctx context.Context, in *webhookIDInput) (*messageOutput, error) {
			m, err := a.webhooks.Test(ctx, actorOf(ctx), webhook.ID(in.ID))
			if err != nil {
				return nil, a.told(ctx, err)
			}
			return &messageOutput{Body: *m}, nil
		})
	register(described, op("replayWebhook", http.MethodPost, "/{id}/replay", "Gửi lại / Replay messages", http.StatusAccepted),
		func(ctx context.Context, in *replayInput) (*countOutput, error) {
			n, err := a.webhooks.Replay(ctx, actorOf(ctx), webhook.ID(in.ID), in.Body.From, max(in.Body.From, in.Body.To))
			if err != nil {
				return nil, a.told(ctx, err)
			}
			out := &countOutput{}
			out.Body.Count = n
			return out, nil
		})
	register(described, op("skipWebhookMessage", http.MethodPost, "/{id}/messages/{seq}/skip", "Bỏ qua một thông báo / Skip a message", http.StatusNoContent),
		func(ctx context.Context, in *skipInput) (*struct{}, error) {
			return nil, a.told(ctx, a.webhooks.Skip(ctx, actorOf(ctx), webhook.ID(in.ID), in.Seq))
		})
	register(described, op("listWebhookMessages", http.MethodGet, "/{id}/messages", "Các thông báo / Messages", 0),
		func(ctx context.Context, in *webhookLogInput) (*listOutput[webhook.Message], error) {
			before, err := strconv.ParseInt("0"+in.After, 10, 64)
			if err != nil {
				return nil, a.told(ctx, registry.NewError(exchange.KindInvalid, "after phải là số của một thông báo.", "after must be the number of a message."))
			}
			list, err := a.webhooks.Messages(ctx, actorOf(ctx), webhook.ID(in.ID), before, in.Limit)
			if err != nil {
				return nil, a.told(ctx, err)
			}
			next := ""
			if len(list) == in.Limit {
				next = strconv.FormatInt(list[len(list)-1].Seq, 10)
			}
			return page("/api/v1/webhooks/"+url.PathEscape(in.ID)+"/messages", url.Values{}, list, next, in.Limit), nil
		})
	register(described, op("listWebhookAttempts", http.MethodGet, "/{id}/attempts", "Nhật ký gửi / Log of attempts", 0),
		func(ctx context.Context, in *webhookLogInput) (*listOutput[webhook.Attempt], error) {
			list, err := a.webhooks.Attempts(ctx, actorOf(ctx), webhook.ID(in.ID), in.After, in.Limit)
			if err != nil {
				return nil, a.told(ctx, err)
			}
			next := ""
			if len(list) == in.Limit {
				next = list[len(list)-1].ID
			}
			return page("/api/v1/webhooks/"+url.PathEscape(in.ID)+"/attempts", url.Values{}, list, next, in.Limit), nil
		})
}

// webhook renders what an act on a webhook gives.
func (a *api) webhook(ctx context.Context) func(*webhook.Subscription, error) (*webhookOutput, error) {
	return func(s *webhook.Subscription, err error) (*webhookOutput, error) {
		if err != nil {
			return nil, a.told(ctx, err)
		}
		return &webhookOutput{Body: *s}, nil
	}
}

func (a *api) webhookSecret(ctx context.Context, s *webhook.Subscription, secret string, err error) (*webhookSecretOutput, error) {
	if err != nil {
		return nil, a.told(ctx, err)
	}
	out := &webhookSecretOutput{}
	out.Body.Webhook, out.Body.Secret = *s, secret
	return out, nil
}
