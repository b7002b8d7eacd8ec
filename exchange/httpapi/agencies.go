package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"vanthu/exchange"
	"vanthu/exchange/registry"
)

type agenciesInput struct {
	Query  string `query:"query" maxLength:"200" doc:"in code, name or symbol; marks and case are ignored"`
	Parent string `query:"parent" maxLength:"35"`
	Level  string `query:"level" maxLength:"50"`
	After  string `query:"after" maxLength:"35" doc:"cursor: the code of the last one seen"`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

type listOutput[T any] struct {
	Link string `header:"Link" doc:"rel=next, where there is more"`
	Body struct {
		Items []T    `json:"items"`
		Next  string `json:"next,omitempty" doc:"cursor of the next page; absent at the end"`
	}
}

// page fills a list with its link to the next page (RFC 8288).
func page[T any](path string, query url.Values, items []T, next string, limit int) *listOutput[T] {
	out := &listOutput[T]{}
	out.Body.Items, out.Body.Next = items, next
	if items == nil {
		out.Body.Items = []T{}
	}
	if next != "" {
		query.Set("after", next)
		query.Set("limit", strconv.Itoa(limit))
		out.Link = "<" + path + "?" + query.Encode() + `>; rel="next"`
	}
	return out
}

// filled keeps the parameters that were given.
func filled(pairs ...string) url.Values {
	out := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			out.Set(pairs[i], pairs[i+1])
		}
	}
	return out
}

type agencyIDInput struct {
	ID string `path:"id" maxLength:"35" doc:"mã định danh (QĐ 20/2020 or QCVN 102:2016)"`
}

type agencyOutput struct{ Body registry.Agency }

type agencyInput struct{ Body registry.Agency }

type peopleInput struct {
	Agency string `query:"agency" maxLength:"35" doc:"the own agency when absent"`
}

type peopleOutput struct {
	Body struct {
		Items []registry.Person `json:"items"`
	}
}

type personInput struct {
	Body struct {
		Person   registry.Person `json:"person"`
		Password string          `json:"password,omitempty" maxLength:"1024"`
	}
}

type personOutput struct{ Body registry.Person }

type keyInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		PKCS12     []byte `json:"pkcs12" doc:"the PKCS#12 file, base64; it stays encrypted under its passphrase"`
		Passphrase string `json:"passphrase" maxLength:"1024" doc:"opens it once to check it; not kept"`
	}
}

func (a *api) describeRegistry(described huma.API) {
	tags := []string{"registry"}
	register(described, huma.Operation{
		OperationID: "listAgencies", Method: http.MethodGet, Path: "/api/v1/agencies", Tags: tags, Summary: "Danh bạ cơ quan / Agencies", Security: withToken(),
	}, func(ctx context.Context, in *agenciesInput) (*listOutput[registry.Agency], error) {
		items, err := a.registry.Agencies(ctx, registry.Filter{
			Query: in.Query, Parent: registry.AgencyID(in.Parent), Level: in.Level, After: registry.AgencyID(in.After), Limit: in.Limit,
		})
		if err != nil {
			return nil, a.told(ctx, err)
		}
		next := ""
		if len(items) == in.Limit {
			next = string(items[len(items)-1].ID)
		}
		return page("/api/v1/agencies", filled("query", in.Query, "parent", in.Parent, "level", in.Level), items, next, in.Limit), nil
	})
	register(described, huma.Operation{
		OperationID: "getAgency", Method: http.MethodGet, Path: "/api/v1/agencies/{id}", Tags: tags, Summary: "Một cơ quan / One agency", Security: withToken(),
	}, func(ctx context.Context, in *agencyIDInput) (*agencyOutput, error) {
		agency, err := a.registry.Agency(ctx, registry.AgencyID(in.ID))
		if err != nil {
			return nil, a.told(ctx, err)
		}
		return &agencyOutput{Body: *agency}, nil
	})
	register(described, huma.Operation{
		OperationID: "addAgency", Method: http.MethodPost, Path: "/api/v1/agencies", Tags: tags, Summary: "Thêm cơ quan / Add an agency",
		Security: withToken(), DefaultStatus: http.StatusCreated, MaxBodyBytes: maxJSON,
	}, func(ctx context.Context, in *agencyInput) (*agencyOutput, error) {
		if err := a.registry.AddAgency(ctx, actorOf(ctx), in.Body); err != nil {
			return nil, a.told(ctx, err)
		}
		agency, err := a.registry.Agency(ctx, in.Body.ID)
		if err != nil {
			return nil, a.told(ctx, err)
		}
		return &agencyOutput{Body: *agency}, nil
	})
	a.describePeople(described, tags)
}

func (a *api) describePeople(described huma.API, tags []string) {
	register(described, huma.Operation{
		OperationID: "listPeople", Method: http.MethodGet, Path: "/api/v1/people", Tags: tags, Summary: "Người của cơ quan / People of an agency", Security: withToken(),
	}, func(ctx context.Context, in *peopleInput) (*peopleOutput, error) {
		actor := actorOf(ctx)
		agency := registry.AgencyID(in.Agency)
		if agency == "" {
			agency = actor.Agency
		}
		if agency != actor.Agency && !actor.Has(registry.RoleAdministrator) {
			return nil, a.told(ctx, notFound("Không tìm thấy cơ quan này trong phạm vi của bạn.", "This agency is not within your reach."))
		}
		people, err := a.registry.People(ctx, agency)
		if err != nil {
			return nil, a.told(ctx, err)
		}
		out := &peopleOutput{}
		out.Body.Items = append([]registry.Person{}, people...)
		return out, nil
	})
	register(described, huma.Operation{
		OperationID: "addPerson", Method: http.MethodPost, Path: "/api/v1/people", Tags: tags, Summary: "Thêm người / Add a person",
		Security: withToken(), DefaultStatus: http.StatusCreated, MaxBodyBytes: maxJSON,
	}, func(ctx context.Context, in *personInput) (*personOutput, error) {
		person, err := a.registry.AddPerson(ctx, actorOf(ctx), in.Body.Person, in.Body.Password)
		if err != nil {
			return nil, a.told(ctx, err)
		}
		return &personOutput{Body: *person}, nil
	})
	setKey := func(id, path, summary string, owner func(string) registry.Owner) {
		register(described, huma.Operation{
			OperationID: id, Method: http.MethodPut, Path: path, Tags: tags, Summary: summary,
			Security: withToken(), DefaultStatus: http.StatusNoContent, MaxBodyBytes: maxJSON,
		}, func(ctx context.Context, in *keyInput) (*struct{}, error) {
			return nil, a.told(ctx, a.registry.SetKey(ctx, actorOf(ctx), owner(in.ID), in.Body.PKCS12, in.Body.Passphrase))
		})
	}
	setKey("setPersonKey", "/api/v1/people/{id}/key", "Khóa ký của người / Signing key of a person",
		func(id string) registry.Owner { return registry.PersonOwner(registry.PersonID(id)) })
	setKey("setAgencyKey", "/api/v1/agencies/{id}/key", "Khóa ký của cơ quan / Seal of an agency",
		func(id string) registry.Owner { return registry.AgencyOwner(registry.AgencyID(id)) })
	register(described, huma.Operation{
		OperationID: "listDocumentTypes", Method: http.MethodGet, Path: "/api/v1/document-types", Tags: tags, Summary: "29 loại văn bản / The 29 types", Security: withToken(),
	}, func(context.Context, *struct{}) (*typesOutput, error) {
		out := &typesOutput{}
		out.Body.Items = exchange.DocTypes()
		return out, nil
	})
}

type typesOutput struct {
	Body struct {
		Items []exchange.DocType `json:"items"`
	}
}
