package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

type delegateInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Lead        registry.PersonID   `json:"lead" minLength:"1" maxLength:"64" doc:"chủ trì"`
		With        []registry.PersonID `json:"with,omitempty" maxItems:"50" doc:"phối hợp"`
		Due         string              `json:"due,omitempty" maxLength:"10" doc:"hạn giải quyết, YYYY-MM-DD"`
		Instruction string              `json:"instruction,omitempty" maxLength:"500" doc:"bút phê"`
	}
}

type reassignInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Person registry.PersonID `json:"person" minLength:"1" maxLength:"64" doc:"who leads from now on"`
		Reason string            `json:"reason" minLength:"1" maxLength:"500"`
	}
}

type coHandlersInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		People []registry.PersonID `json:"people" minItems:"1" maxItems:"50"`
		Due    string              `json:"due,omitempty" maxLength:"10" doc:"YYYY-MM-DD"`
		Note   string              `json:"note,omitempty" maxLength:"500"`
	}
}

type partInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Result string `json:"result,omitempty" maxLength:"500"`
	}
}

type opinionInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Kind string `json:"kind" enum:"instruction,proposal,comment" doc:"bút phê, đề xuất, ý kiến khác"`
		Text string `json:"text" minLength:"1" maxLength:"500"`
	}
}

type replyInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Document exchange.DocumentID `json:"document,omitempty" maxLength:"64" doc:"the sent document that answers; absent = no answer is needed"`
		Note     string              `json:"note,omitempty" maxLength:"500"`
	}
}

type reopenInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"500"`
		Due    string `json:"due,omitempty" maxLength:"10" doc:"YYYY-MM-DD"`
	}
}

type tasksInput struct {
	View  string `query:"view" enum:"mine,co,overdue,unassigned" default:"mine"`
	After string `query:"after" maxLength:"200"`
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

// describeWork are the calls about the work on incoming documents: who leads, who takes part, what was said.
func (a *api) describeWork(described huma.API) {
	tags := []string{"incoming"}
	act := func(id, suffix, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: http.MethodPost, Path: "/api/v1/incoming/{id}/" + suffix, Tags: tags, Summary: summary,
			Security: withToken(), MaxBodyBytes: maxJSON}
	}
	register(described, huma.Operation{
		OperationID: "listTasks", Method: http.MethodGet, Path: "/api/v1/tasks", Tags: tags, Summary: "Việc đang giải quyết / Open work", Security: withToken(),
	}, func(ctx context.Context, in *tasksInput) (*listOutput[exchange.Incoming], error) {
		found, err := a.service.Tasks(ctx, actorOf(ctx), exchange.TaskView(in.View), in.After, in.Limit)
		if err != nil {
			return nil, a.told(ctx, err)
		}
		return page("/api/v1/tasks", filled("view", in.View), found.Items, found.Next, in.Limit), nil
	})
	register(described, act("delegate", "delegate", "Giao chủ trì, phối hợp, bút phê (04) / Assign lead and co-handlers with an instruction"),
		func(ctx context.Context, in *delegateInput) (*incomingOutput, error) {
			due, err := dayOf(in.Body.Due)
			if err != nil {
				return nil, a.told(ctx, err)
			}
			return a.incoming(ctx)(a.service.AssignTo(ctx, actorOf(ctx), exchange.IncomingID(in.ID), exchange.Assignment{
				Lead: in.Body.Lead, With: in.Body.With, Due: due, Instruction: in.Body.Instruction,
			}))
		})
	register(described, act("reassign", "reassign", "Chuyển người chủ trì / Give the lead to somebody else"),
		func(ctx context.Context, in *reassignInput) (*incomingOutput, error) {
			return a.incoming(ctx)(a.service.Reassign(ctx, actorOf(ctx), exchange.IncomingID(in.ID), in.Body.Person, in.Body.Reason))
		})
	register(described, act("addCoHandlers", "co-handlers", "Thêm người phối hợp / Add co-handlers"),
		func(ctx context.Context, in *coHandlersInput) (*incomingOutput, error) {
			due, err := dayOf(in.Body.Due)
			if err != nil {
				return nil, a.told(ctx, err)
			}
			return a.incoming(ctx)(a.service.AddCoHandlers(ctx, actorOf(ctx), exchange.IncomingID(in.ID), in.Body.People, due, in.Body.Note))
		})
	register(described, huma.Operation{
		OperationID: "registerScan", Method: http.MethodPost, Path: "/api/v1/incoming", Tags: tags, Summary: "Vào sổ văn bản giấy đến / Register what came on paper",
		Security: withToken(), DefaultStatus: http.StatusCreated, MaxBodyBytes: a.maxBody,
	}, a.scan)
	a.describeResults(described, act)
}

// describeResults are the calls about what came of the work.
func (a *api) describeResults(described huma.API, act func(id, suffix, summary string) huma.Operation) {
	register(described, act("finishPart", "finish-part", "Xong phần phối hợp / End one's own part"),
		func(ctx context.Context, in *partInput) (*incomingOutput, error) {
			return a.incoming(ctx)(a.service.FinishPart(ctx, actorOf(ctx), exchange.IncomingID(in.ID), in.Body.Result))
		})
	register(described, act("say", "opinions", "Cho ý kiến / Add an opinion"),
		func(ctx context.Context, in *opinionInput) (*incomingOutput, error) {
			return a.incoming(ctx)(a.service.Say(ctx, actorOf(ctx), exchange.IncomingID(in.ID), exchange.OpinionKind(in.Body.Kind), in.Body.Text))
		})
	register(described, act("finishWith", "finish-with", "Hoàn thành kèm văn bản trả lời (06) / Finish with the answering document"),
		func(ctx context.Context, in *replyInput) (*incomingOutput, error) {
			return a.incoming(ctx)(a.service.FinishWith(ctx, actorOf(ctx), exchange.IncomingID(in.ID), in.Body.Document, in.Body.Note))
		})
	register(described, act("reopen", "reopen", "Mở lại việc đã xong / Go on with finished work"),
		func(ctx context.Context, in *reopenInput) (*incomingOutput, error) {
			due, err := dayOf(in.Body.Due)
			if err != nil {
				return nil, a.told(ctx, err)
			}
			return a.incoming(ctx)(a.service.Reopen(ctx, actorOf(ctx), exchange.IncomingID(in.ID), in.Body.Reason, due))
		})
}

// dayOf reads a day of Vietnam; "" is none.
func dayOf(day string) (time.Time, error) {
	if day == "" {
		return time.Time{}, nil
	}
	due, err := time.ParseInLocation(time.DateOnly, day, exchange.Vietnam())
	if err != nil {
		return time.Time{}, registry.NewError(exchange.KindInvalid, "Ngày phải có dạng YYYY-MM-DD.", "a day must be YYYY-MM-DD.")
	}
	return due, nil
}

type scanForm struct {
	PDF        huma.FormFile `form:"pdf" contentType:"application/pdf,application/octet-stream" required:"true"`
	Channel    string        `form:"channel" enum:"paper,mail" doc:"paper when absent" required:"false"`
	From       string        `form:"from" maxLength:"35" doc:"code of the sender; from_name when it has none" required:"false"`
	FromName   string        `form:"from_name" maxLength:"200" required:"false"`
	Code       string        `form:"code" maxLength:"42" doc:"số, ký hiệu" required:"false"`
	Type       string        `form:"type" minLength:"1" maxLength:"100" doc:"one of /api/v1/document-types, or a name" required:"true"`
	Subject    string        `form:"subject" minLength:"1" maxLength:"500" doc:"trích yếu" required:"true"`
	SignerName string        `form:"signer_name" maxLength:"50" required:"false"`
	Issued     string        `form:"issued" maxLength:"10" doc:"ngày tháng văn bản, YYYY-MM-DD" required:"true"`
	Priority   int           `form:"priority" minimum:"0" maximum:"4" required:"false"`
	Due        string        `form:"due" maxLength:"10" doc:"hạn xử lý, YYYY-MM-DD" required:"false"`
	Note       string        `form:"note" maxLength:"500" required:"false"`
	Secrecy    string        `form:"secrecy" doc:"a secret document is refused (QĐ 28/2018 Điều 1.2)" required:"false"`
}

type scanInput struct {
	RawBody huma.MultipartFormFiles[scanForm]
}

// scan registers what came on paper.
func (a *api) scan(ctx context.Context, in *scanInput) (*incomingOutput, error) {
	form := in.RawBody.Data()
	// The parts of a large upload lie in temporary files; they are ours to remove.
	defer in.RawBody.Form.RemoveAll() //nolint:errcheck // the system's folder for temporary files is swept anyway
	issued, err := dayOf(form.Issued)
	if err != nil {
		return nil, a.told(ctx, err)
	}
	due, err := dayOf(form.Due)
	if err != nil {
		return nil, a.told(ctx, err)
	}
	return a.incoming(ctx)(a.service.RegisterScan(ctx, actorOf(ctx), exchange.ScanInput{
		Channel: form.Channel, From: registry.AgencyID(form.From), FromName: form.FromName, Code: form.Code, Type: form.Type, Subject: form.Subject,
		SignerName: form.SignerName, Issued: issued, Priority: exchange.Priority(form.Priority), Due: due, Note: form.Note, Secrecy: form.Secrecy, PDF: form.PDF.File,
	}))
}
