package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/signing"
)

type recallInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Recipients []registry.AgencyID `json:"recipients,omitempty" maxItems:"10000" doc:"all who have a copy when absent"`
		Reason     string              `json:"reason" minLength:"1" maxLength:"500"`
	}
}

type updateInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body exchange.UpdateInput
}

type replaceInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Replacement exchange.DocumentID `json:"replacement" maxLength:"64" doc:"a sealed document that takes the place of this one"`
		Recipients  []registry.AgencyID `json:"recipients,omitempty" maxItems:"10000" doc:"all who have a copy when absent"`
		Reason      string              `json:"reason" minLength:"1" maxLength:"500"`
	}
}

type requestOutput struct{ Body exchange.Request }

type answerInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Agree bool   `json:"agree"`
		Note  string `json:"note,omitempty" maxLength:"500" doc:"the reason, where it is declined"`
	}
}

// describeRequests are what a sender asks after sending: recall, update, replace.
func (a *api) describeRequests(described huma.API) {
	op := func(id, method, path, summary string, status int) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/v1/" + path, Tags: []string{"requests"}, Summary: summary,
			Security: withToken(), DefaultStatus: status, MaxBodyBytes: maxJSON}
	}
	request := func(ctx context.Context, r *exchange.Request, err error) (*requestOutput, error) {
		if err != nil {
			return nil, a.told(ctx, err)
		}
		return &requestOutput{Body: *r}, nil
	}
	register(described, op("recall", http.MethodPost, "documents/{id}/recall", "Thu hồi / Recall", http.StatusCreated),
		func(ctx context.Context, in *recallInput) (*requestOutput, error) {
			r, err := a.service.RequestRecall(ctx, actorOf(ctx), exchange.DocumentID(in.ID), in.Body.Recipients, in.Body.Reason)
			return request(ctx, r, err)
		})
	register(described, op("update", http.MethodPost, "documents/{id}/update", "Cập nhật / Update", http.StatusCreated),
		func(ctx context.Context, in *updateInput) (*requestOutput, error) {
			r, err := a.service.Update(ctx, actorOf(ctx), exchange.DocumentID(in.ID), in.Body)
			return request(ctx, r, err)
		})
	register(described, op("replace", http.MethodPost, "documents/{id}/replace", "Thay thế / Replace", http.StatusCreated),
		func(ctx context.Context, in *replaceInput) (*requestOutput, error) {
			r, err := a.service.Replace(ctx, actorOf(ctx), exchange.DocumentID(in.ID), in.Body.Replacement, in.Body.Recipients, in.Body.Reason)
			return request(ctx, r, err)
		})
	register(described, op("listRequests", http.MethodGet, "documents/{id}/requests", "Các yêu cầu và số phận từng bản / Requests and the fate of each copy", 0),
		func(ctx context.Context, in *documentIDInput) (*itemsOutput[exchange.Request], error) {
			list, err := a.service.Requests(ctx, actorOf(ctx), exchange.DocumentID(in.ID))
			return items(list), a.told(ctx, err)
		})
	register(described, op("retry", http.MethodPost, "documents/{id}/retry", "Gửi lại nơi bị lỗi / Send failed deliveries again", 0),
		func(ctx context.Context, in *documentIDInput) (*countOutput, error) {
			n, err := a.service.Retry(ctx, actorOf(ctx), exchange.DocumentID(in.ID))
			if err != nil {
				return nil, a.told(ctx, err)
			}
			out := &countOutput{}
			out.Body.Count = int64(n)
			return out, nil
		})
	register(described, op("listNotices", http.MethodGet, "incoming/{id}/notices", "Yêu cầu của nơi gửi / The sender's requests", 0),
		func(ctx context.Context, in *incomingIDInput) (*itemsOutput[exchange.Notice], error) {
			list, err := a.service.Notices(ctx, actorOf(ctx), exchange.IncomingID(in.ID))
			return items(list), a.told(ctx, err)
		})
	register(described, op("answerRequest", http.MethodPost, "incoming/{id}/answer", "Trả lời yêu cầu / Answer a request", 0),
		func(ctx context.Context, in *answerInput) (*incomingOutput, error) {
			return a.incoming(ctx)(a.service.AnswerRequest(ctx, actorOf(ctx), exchange.IncomingID(in.ID), in.Body.Agree, in.Body.Note))
		})
	register(described, op("listViews", http.MethodGet, "incoming/{id}/views", "Ai đã mở / Who opened it", 0),
		func(ctx context.Context, in *incomingIDInput) (*itemsOutput[exchange.View], error) {
			list, err := a.service.IncomingViews(ctx, actorOf(ctx), exchange.IncomingID(in.ID))
			return items(list), a.told(ctx, err)
		})
	a.describeNextActs(described, op)
}

func (a *api) describeNextActs(described huma.API, op func(id, method, path, summary string, status int) huma.Operation) {
	register(described, op("nextOfDocument", http.MethodGet, "documents/{id}/next", "Việc tiếp theo của văn bản đi / What comes next", 0),
		func(ctx context.Context, in *documentIDInput) (*itemsOutput[exchange.NextStep], error) {
			list, err := a.service.NextAct(ctx, actorOf(ctx), exchange.DocumentID(in.ID))
			return items(list), a.told(ctx, err)
		})
	register(described, op("nextOfIncoming", http.MethodGet, "incoming/{id}/next", "Việc tiếp theo của văn bản đến / What comes next", 0),
		func(ctx context.Context, in *incomingIDInput) (*itemsOutput[exchange.NextStep], error) {
			list, err := a.service.NextIncoming(ctx, actorOf(ctx), exchange.IncomingID(in.ID))
			return items(list), a.told(ctx, err)
		})
	register(described, op("listOverdue", http.MethodGet, "overdue", "Việc quá hạn của tôi / What is late and mine to do", 0),
		func(ctx context.Context, _ *struct{}) (*itemsOutput[exchange.Overdue], error) {
			list, err := a.service.Overdue(ctx, actorOf(ctx))
			return items(list), a.told(ctx, err)
		})
	register(described, op("listHolidays", http.MethodGet, "calendar", "Ngày nghỉ, ngày làm bù / Holidays and make-up days", 0),
		func(ctx context.Context, _ *struct{}) (*itemsOutput[exchange.CalendarDay], error) {
			list, err := a.service.CalendarDays(ctx)
			return items(list), a.told(ctx, err)
		})
	register(described, op("setHolidays", http.MethodPost, "calendar", "Đặt ngày nghỉ, ngày làm bù / Set holidays and make-up days", http.StatusNoContent),
		func(ctx context.Context, in *holidaysInput) (*struct{}, error) {
			return nil, a.told(ctx, a.service.SetCalendarDays(ctx, actorOf(ctx), in.Body.Days))
		})
	register(described, op("removeHoliday", http.MethodDelete, "calendar/{day}", "Bỏ một ngày / Remove a day", http.StatusNoContent),
		func(ctx context.Context, in *holidayInput) (*struct{}, error) {
			return nil, a.told(ctx, a.service.RemoveCalendarDay(ctx, actorOf(ctx), in.Day))
		})
}

type holidaysInput struct {
	Body struct {
		Days []exchange.CalendarDay `json:"days" minItems:"1" maxItems:"400"`
	}
}

type holidayInput struct {
	Day string `path:"day" maxLength:"10" doc:"YYYY-MM-DD"`
}

type simulateInput struct {
	Body struct {
		Document   exchange.DocumentID `json:"document" maxLength:"64"`
		Recipients []registry.AgencyID `json:"recipients" minItems:"1" maxItems:"10000"`
	}
}

type simulationOutput struct{ Body *exchange.Simulation }

type bulkInput struct {
	Body struct {
		Act        string              `json:"act" enum:"initial,approve,seal,number,send,schedule,return,cancel-number,register,assign,reassign,forward,process,finish,refuse"`
		IDs        []string            `json:"ids" minItems:"1" maxItems:"500" doc:"documents, or incoming documents, as the act is"`
		Note       string              `json:"note,omitempty" maxLength:"500" doc:"refuse, return, cancel-number, reassign: the reason; assign: the instruction"`
		Person     string              `json:"person,omitempty" maxLength:"64" doc:"assign, reassign: to whom"`
		With       []registry.PersonID `json:"with,omitempty" maxItems:"50" doc:"assign: who takes part"`
		Due        string              `json:"due,omitempty" maxLength:"10" doc:"assign: YYYY-MM-DD"`
		At         string              `json:"at,omitempty" format:"date-time" doc:"schedule: RFC 3339"`
		Recipients []registry.AgencyID `json:"recipients,omitempty" maxItems:"10000" doc:"send, schedule, forward: to whom"`
		Passphrase string              `json:"passphrase,omitempty" maxLength:"1024" doc:"initial, approve, seal: of the stored key"`
		Profile    string              `json:"profile,omitempty" enum:"adbe,pades-b-b,pades-b-t" doc:"pades-b-t when absent"`
		Invisible  bool                `json:"invisible,omitempty"`
	}
}

type bulkOutcome struct {
	ID      string   `json:"id"`
	Done    bool     `json:"done"`
	Code    string   `json:"code,omitempty" doc:"number and symbol, or the arrival number"`
	Problem *Problem `json:"problem,omitempty" doc:"why it was not done"`
}

type bulkOutput struct {
	Body struct {
		Done    int           `json:"done"`
		Refused int           `json:"refused"`
		Items   []bulkOutcome `json:"items" doc:"one for each id, in their order"`
	}
}

// describeMany are the calls about many documents or recipients at once.
func (a *api) describeMany(described huma.API) {
	register(described, huma.Operation{
		OperationID: "simulate", Method: http.MethodPost, Path: "/api/v1/simulate", Tags: []string{"outgoing"}, Summary: "Gửi thử: điều gì sẽ xảy ra / What would happen if this were sent",
		Description: "Nothing is written.", Security: withToken(), MaxBodyBytes: maxJSON,
	}, func(ctx context.Context, in *simulateInput) (*simulationOutput, error) {
		out, err := a.service.Simulate(ctx, actorOf(ctx), in.Body.Document, in.Body.Recipients)
		if err != nil {
			return nil, a.told(ctx, err)
		}
		return &simulationOutput{Body: out}, nil
	})
	register(described, huma.Operation{
		OperationID: "bulk", Method: http.MethodPost, Path: "/api/v1/bulk", Tags: []string{"outgoing", "incoming"}, Summary: "Một thao tác trên nhiều văn bản / One act on many documents",
		Description: "Each is an act of its own: one that is refused never blocks the next.", Security: withToken(), MaxBodyBytes: maxJSON,
	}, a.bulk)
}

func (a *api) bulk(ctx context.Context, in *bulkInput) (*bulkOutput, error) {
	due, err := dayOf(in.Body.Due)
	if err != nil {
		return nil, a.told(ctx, err)
	}
	at, err := momentOf(in.Body.At)
	if err != nil {
		return nil, a.told(ctx, err)
	}
	list, err := a.service.Bulk(ctx, actorOf(ctx), exchange.BulkInput{
		With: in.Body.With, Due: due, At: at,
		Act: exchange.Act(in.Body.Act), IDs: in.Body.IDs, Note: in.Body.Note, Person: registry.PersonID(in.Body.Person), Recipients: in.Body.Recipients,
		Sign: exchange.SignInput{Passphrase: in.Body.Passphrase, Profile: signing.Profile(in.Body.Profile), Invisible: in.Body.Invisible},
	})
	if err != nil {
		return nil, a.told(ctx, err)
	}
	out := &bulkOutput{}
	out.Body.Items = make([]bulkOutcome, len(list))
	for i, o := range list {
		out.Body.Items[i] = bulkOutcome{ID: o.ID, Code: o.Code, Done: o.Err == nil}
		if o.Err == nil {
			out.Body.Done++
			continue
		}
		out.Body.Refused++
		out.Body.Items[i].Problem = problemOf(a.log, ctx, o.Err).in(languageIn(ctx))
	}
	return out, nil
}
