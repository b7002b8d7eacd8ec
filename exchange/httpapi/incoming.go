package httpapi

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

type incomingsInput struct {
	Status   string `query:"status" enum:"01,02,03,04,05,06"`
	Query    string `query:"query" maxLength:"200"`
	Year     int    `query:"year" minimum:"2000" maximum:"9999" doc:"year of arrival"`
	Assignee string `query:"assignee" maxLength:"64"`
	After    string `query:"after" maxLength:"200"`
	Limit    int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

type incomingOutput struct{ Body exchange.Incoming }

type incomingIDInput struct {
	ID string `path:"id" maxLength:"64"`
}

type noteInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body *struct {
		Note string `json:"note,omitempty" maxLength:"500" doc:"bút phê, ghi chú"`
	}
}

func (in *noteInput) note() string {
	if in.Body == nil {
		return ""
	}
	return in.Body.Note
}

type assignInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Person registry.PersonID `json:"person" minLength:"1"`
		Note   string            `json:"note,omitempty" maxLength:"500"`
	}
}

func (a *api) describeIncoming(described huma.API) {
	tags := []string{"incoming"}
	register(described, huma.Operation{
		OperationID: "listIncoming", Method: http.MethodGet, Path: "/api/v1/incoming", Tags: tags, Summary: "Văn bản đến / Incoming documents", Security: withToken(),
	}, func(ctx context.Context, in *incomingsInput) (*listOutput[exchange.Incoming], error) {
		found, err := a.service.Incomings(ctx, actorOf(ctx), exchange.IncomingFilter{
			Status: exchange.Status(in.Status), Query: in.Query, Year: in.Year, Assignee: registry.PersonID(in.Assignee), After: in.After, Limit: in.Limit,
		})
		if err != nil {
			return nil, a.told(ctx, err)
		}
		query := filled("status", in.Status, "query", in.Query, "assignee", in.Assignee)
		if in.Year != 0 {
			query.Set("year", strconv.Itoa(in.Year))
		}
		return page("/api/v1/incoming", query, found.Items, found.Next, in.Limit), nil
	})
	read := func(id, suffix, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: http.MethodGet, Path: "/api/v1/incoming/{id}" + suffix, Tags: tags, Summary: summary, Security: withToken()}
	}
	register(described, read("getIncoming", "", "Một văn bản đến / One incoming document"),
		func(ctx context.Context, in *incomingIDInput) (*incomingOutput, error) {
			return a.incoming(ctx)(a.service.Incoming(ctx, actorOf(ctx), exchange.IncomingID(in.ID)))
		})
	register(described, read("getIncomingReceipts", "/receipts", "Biên nhận / Receipts"),
		func(ctx context.Context, in *incomingIDInput) (*itemsOutput[exchange.Receipt], error) {
			list, err := a.service.IncomingReceipts(ctx, actorOf(ctx), exchange.IncomingID(in.ID))
			return items(list), a.told(ctx, err)
		})
	register(described, read("getIncomingTimeline", "/timeline", "Nhật ký / Timeline"),
		func(ctx context.Context, in *incomingIDInput) (*itemsOutput[exchange.Event], error) {
			list, err := a.service.IncomingTimeline(ctx, actorOf(ctx), exchange.IncomingID(in.ID))
			return items(list), a.told(ctx, err)
		})
	register(described, pdfOperation(read("getIncomingPDF", "/pdf", "Tệp PDF / The PDF")),
		func(ctx context.Context, in *incomingIDInput) (*huma.StreamResponse, error) {
			return a.pdf(ctx, func() (io.ReadCloser, int64, error) {
				return a.service.IncomingPDF(ctx, actorOf(ctx), exchange.IncomingID(in.ID))
			})
		})
	a.describeIncomingActs(described, tags)
}

// incoming renders the answer of an act on an incoming document.
func (a *api) incoming(ctx context.Context) func(*exchange.Incoming, error) (*incomingOutput, error) {
	return func(in *exchange.Incoming, err error) (*incomingOutput, error) {
		if err != nil {
			return nil, a.told(ctx, err)
		}
		return &incomingOutput{Body: *in}, nil
	}
}

func (a *api) describeIncomingActs(described huma.API, tags []string) {
	act := func(id, suffix, summary string) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: http.MethodPost, Path: "/api/v1/incoming/{id}/" + suffix, Tags: tags, Summary: summary, Security: withToken(), MaxBodyBytes: maxJSON,
		}
	}
	register(described, act("register", "register", "Tiếp nhận và vào sổ (03) / Register"),
		func(ctx context.Context, in *incomingIDInput) (*incomingOutput, error) {
			return a.incoming(ctx)(a.service.Register(ctx, actorOf(ctx), exchange.IncomingID(in.ID)))
		})
	register(described, act("assign", "assign", "Phân công (04) / Assign"),
		func(ctx context.Context, in *assignInput) (*incomingOutput, error) {
			return a.incoming(ctx)(a.service.Assign(ctx, actorOf(ctx), exchange.IncomingID(in.ID), in.Body.Person, in.Body.Note))
		})
	register(described, act("process", "process", "Đang xử lý (05) / Start work"),
		func(ctx context.Context, in *noteInput) (*incomingOutput, error) {
			return a.incoming(ctx)(a.service.Process(ctx, actorOf(ctx), exchange.IncomingID(in.ID), in.note()))
		})
	register(described, act("finish", "finish", "Hoàn thành (06) / Finish"),
		func(ctx context.Context, in *noteInput) (*incomingOutput, error) {
			return a.incoming(ctx)(a.service.Finish(ctx, actorOf(ctx), exchange.IncomingID(in.ID), in.note()))
		})
	register(described, act("refuse", "refuse", "Từ chối tiếp nhận (02) / Refuse"),
		func(ctx context.Context, in *reasonInput) (*incomingOutput, error) {
			return a.incoming(ctx)(a.service.Refuse(ctx, actorOf(ctx), exchange.IncomingID(in.ID), in.Body.Reason))
		})
}

type yearInput struct {
	Year int `query:"year" minimum:"2000" maximum:"9999" required:"true"`
}

type statsInput struct {
	From string `query:"from" required:"true" doc:"first day, YYYY-MM-DD, Vietnam time"`
	To   string `query:"to" required:"true" doc:"last day"`
}

type statsOutput struct{ Body *exchange.Stats }

func (a *api) describeReports(described huma.API) {
	tags := []string{"reports"}
	register(described, huma.Operation{
		OperationID: "outgoingRegister", Method: http.MethodGet, Path: "/api/v1/registers/outgoing", Tags: tags, Summary: "Sổ đăng ký văn bản đi / Outgoing register", Security: withToken(),
	}, func(ctx context.Context, in *yearInput) (*itemsOutput[exchange.OutgoingEntry], error) {
		list, err := a.service.OutgoingRegister(ctx, actorOf(ctx), in.Year)
		return items(list), a.told(ctx, err)
	})
	register(described, huma.Operation{
		OperationID: "incomingRegister", Method: http.MethodGet, Path: "/api/v1/registers/incoming", Tags: tags, Summary: "Sổ đăng ký văn bản đến / Incoming register", Security: withToken(),
	}, func(ctx context.Context, in *yearInput) (*itemsOutput[exchange.IncomingEntry], error) {
		list, err := a.service.IncomingRegister(ctx, actorOf(ctx), in.Year)
		return items(list), a.told(ctx, err)
	})
	register(described, huma.Operation{
		OperationID: "stats", Method: http.MethodGet, Path: "/api/v1/stats", Tags: tags, Summary: "Tỷ lệ gửi nhận điện tử / Exchange rate", Security: withToken(),
	}, func(ctx context.Context, in *statsInput) (*statsOutput, error) {
		from, to, err := daysOf(in.From, in.To)
		if err != nil {
			return nil, a.told(ctx, err)
		}
		stats, err := a.service.Stats(ctx, actorOf(ctx), from, to)
		if err != nil {
			return nil, a.told(ctx, err)
		}
		return &statsOutput{Body: stats}, nil
	})
}

// daysOf reads a period of days in Vietnam; the second time is exclusive.
func daysOf(first, last string) (from, to time.Time, err error) {
	from, errFrom := time.ParseInLocation(time.DateOnly, first, exchange.Vietnam())
	to, errTo := time.ParseInLocation(time.DateOnly, last, exchange.Vietnam())
	if errFrom != nil || errTo != nil || to.Before(from) {
		return from, to, registry.NewError(exchange.KindInvalid, "from và to phải là ngày YYYY-MM-DD, from không sau to.", "from and to must be days YYYY-MM-DD, from not after to.")
	}
	return from, to.AddDate(0, 0, 1), nil
}
