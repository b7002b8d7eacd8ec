package httpapi

import (
	"context"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

type forwardInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Recipients []registry.AgencyID `json:"recipients" minItems:"1" maxItems:"500"`
		Note       string              `json:"note,omitempty" maxLength:"500" doc:"ý kiến chuyển"`
	}
}

type mergeInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Other  exchange.IncomingID `json:"other" maxLength:"64" doc:"the entry that came later"`
		Reason string              `json:"reason" minLength:"1" maxLength:"500"`
	}
}

type arrivalInput struct {
	ID      string `path:"id" maxLength:"64"`
	Arrival string `path:"arrival" maxLength:"64"`
}

type listBody struct {
	Name    string              `json:"name" minLength:"1" maxLength:"100"`
	Members []registry.AgencyID `json:"members,omitempty" maxItems:"10000"`
	Root    registry.AgencyID   `json:"root,omitempty" maxLength:"35" doc:"and all agencies below this one"`
	Level   string              `json:"level,omitempty" maxLength:"50" doc:"of those below; every level when absent"`
}

type recipientListInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body listBody
}

type newListInput struct{ Body listBody }

type recipientListOutput struct{ Body exchange.RecipientList }

type listIDInput struct {
	ID string `path:"id" maxLength:"64"`
}

// recipientsBody says whom something goes to.
type recipientsBody struct {
	Recipients []registry.AgencyID `json:"recipients,omitempty" maxItems:"10000" doc:"mã định danh of each recipient"`
	Lists      []string            `json:"lists,omitempty" maxItems:"50" doc:"ids of recipient lists"`
	Root       registry.AgencyID   `json:"root,omitempty" maxLength:"35" doc:"all agencies below this one"`
	Level      string              `json:"level,omitempty" maxLength:"50" doc:"of those below root"`
	Except     []registry.AgencyID `json:"except,omitempty" maxItems:"10000"`
}

type recipientsInput struct{ Body recipientsBody }

// recipients gives the codes: those given as they are, so that a repeat is told, or
// what lists and tree stand for.
func (a *api) recipients(ctx context.Context, b *recipientsBody) ([]registry.AgencyID, error) {
	if len(b.Lists) == 0 && b.Root == "" && len(b.Except) == 0 {
		return b.Recipients, nil
	}
	return a.service.Recipients(ctx, actorOf(ctx), exchange.RecipientQuery{Lists: b.Lists, Codes: b.Recipients, Root: b.Root, Level: b.Level, Except: b.Except})
}

// describeOffice are the calls about handing on what came, duplicates and lists.
func (a *api) describeOffice(described huma.API) {
	op := func(tag, id, method, path, summary string, status int) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/v1/" + path, Tags: []string{tag}, Summary: summary,
			Security: withToken(), DefaultStatus: status, MaxBodyBytes: maxJSON}
	}
	register(described, op("incoming", "forward", http.MethodPost, "incoming/{id}/forward", "Chuyển tiếp cho cơ quan khác / Forward to other agencies", http.StatusCreated),
		func(ctx context.Context, in *forwardInput) (*itemsOutput[exchange.Forward], error) {
			list, err := a.service.ForwardTo(ctx, actorOf(ctx), exchange.IncomingID(in.ID), in.Body.Recipients, in.Body.Note)
			return items(list), a.told(ctx, err)
		})
	register(described, op("incoming", "listForwards", http.MethodGet, "incoming/{id}/forwards", "Đã chuyển tiếp cho ai / To whom it was forwarded", 0),
		func(ctx context.Context, in *incomingIDInput) (*itemsOutput[exchange.Forward], error) {
			list, err := a.service.Forwards(ctx, actorOf(ctx), exchange.IncomingID(in.ID))
			return items(list), a.told(ctx, err)
		})
	register(described, op("incoming", "listChain", http.MethodGet, "incoming/{id}/chain", "Đến qua những cơ quan nào / By whom it was forwarded here", 0),
		func(ctx context.Context, in *incomingIDInput) (*itemsOutput[exchange.Forward], error) {
			list, err := a.service.ForwardChain(ctx, actorOf(ctx), exchange.IncomingID(in.ID))
			return items(list), a.told(ctx, err)
		})
	a.describeArrivals(described, op)
	a.describeLists(described, op)
}

func (a *api) describeArrivals(described huma.API, op func(tag, id, method, path, summary string, status int) huma.Operation) {
	register(described, op("incoming", "listArrivals", http.MethodGet, "incoming/{id}/arrivals", "Các lần đến / How it came, and what differs", 0),
		func(ctx context.Context, in *incomingIDInput) (*itemsOutput[exchange.ArrivalRecord], error) {
			list, err := a.service.Arrivals(ctx, actorOf(ctx), exchange.IncomingID(in.ID))
			return items(list), a.told(ctx, err)
		})
	register(described, pdfOperation(op("incoming", "getArrivalPDF", http.MethodGet, "incoming/{id}/arrivals/{arrival}/pdf", "Tệp của một lần đến / The file of one arrival", 0)),
		func(ctx context.Context, in *arrivalInput) (*huma.StreamResponse, error) {
			return a.pdf(ctx, func() (io.ReadCloser, int64, error) {
				return a.service.ArrivalPDF(ctx, actorOf(ctx), exchange.IncomingID(in.ID), in.Arrival)
			})
		})
	register(described, op("incoming", "listAlike", http.MethodGet, "duplicates", "Văn bản đến có thể trùng / What may be a duplicate", 0),
		func(ctx context.Context, _ *struct{}) (*itemsOutput[exchange.Likeness], error) {
			list, err := a.service.Alike(ctx, actorOf(ctx))
			return items(list), a.told(ctx, err)
		})
	register(described, op("incoming", "mergeArrival", http.MethodPost, "incoming/{id}/merge", "Gộp hai lần đến / Make two entries one", 0),
		func(ctx context.Context, in *mergeInput) (*incomingOutput, error) {
			return a.incoming(ctx)(a.service.MergeArrival(ctx, actorOf(ctx), exchange.IncomingID(in.ID), in.Body.Other, in.Body.Reason))
		})
	register(described, op("incoming", "keepApart", http.MethodPost, "incoming/{id}/keep-apart", "Xác nhận không trùng / Two entries are two documents", http.StatusNoContent),
		func(ctx context.Context, in *mergeInput) (*struct{}, error) {
			return nil, a.told(ctx, a.service.KeepApart(ctx, actorOf(ctx), exchange.IncomingID(in.ID), in.Body.Other, in.Body.Reason))
		})
}

func (a *api) describeLists(described huma.API, op func(tag, id, method, path, summary string, status int) huma.Operation) {
	save := func(ctx context.Context, id string, b *listBody) (*recipientListOutput, error) {
		l, err := a.service.SaveList(ctx, actorOf(ctx), exchange.RecipientList{ID: id, Name: b.Name, Members: b.Members, Root: b.Root, Level: b.Level})
		if err != nil {
			return nil, a.told(ctx, err)
		}
		return &recipientListOutput{Body: *l}, nil
	}
	register(described, op("outgoing", "listRecipientLists", http.MethodGet, "recipient-lists", "Danh sách nơi nhận / Lists of recipients", 0),
		func(ctx context.Context, _ *struct{}) (*itemsOutput[exchange.RecipientList], error) {
			list, err := a.service.RecipientLists(ctx, actorOf(ctx))
			return items(list), a.told(ctx, err)
		})
	register(described, op("outgoing", "addRecipientList", http.MethodPost, "recipient-lists", "Thêm danh sách nơi nhận / Add a list", http.StatusCreated),
		func(ctx context.Context, in *newListInput) (*recipientListOutput, error) {
			return save(ctx, "", &in.Body)
		})
	register(described, op("outgoing", "setRecipientList", http.MethodPut, "recipient-lists/{id}", "Sửa danh sách nơi nhận / Change a list", 0),
		func(ctx context.Context, in *recipientListInput) (*recipientListOutput, error) {
			return save(ctx, in.ID, &in.Body)
		})
	register(described, op("outgoing", "removeRecipientList", http.MethodDelete, "recipient-lists/{id}", "Xóa danh sách nơi nhận / Remove a list", http.StatusNoContent),
		func(ctx context.Context, in *listIDInput) (*struct{}, error) {
			return nil, a.told(ctx, a.service.DeleteList(ctx, actorOf(ctx), in.ID))
		})
	register(described, op("outgoing", "expandRecipients", http.MethodPost, "recipients", "Gồm những cơ quan nào / Which agencies lists and trees stand for", 0),
		func(ctx context.Context, in *recipientsInput) (*itemsOutput[registry.AgencyID], error) {
			b := in.Body
			list, err := a.service.Recipients(ctx, actorOf(ctx), exchange.RecipientQuery{Lists: b.Lists, Codes: b.Recipients, Root: b.Root, Level: b.Level, Except: b.Except})
			return items(list), a.told(ctx, err)
		})
}
