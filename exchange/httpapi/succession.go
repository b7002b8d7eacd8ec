package httpapi

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"vanthu/exchange/registry"
)

type resolveInput struct {
	Code string `query:"code" minLength:"1" maxLength:"35" required:"true" doc:"old (QCVN 102) or new (QĐ 20/2020)"`
	At   string `query:"at" format:"date-time" doc:"RFC 3339; now when absent"`
}

type resolutionOutput struct{ Body *registry.Resolution }

type deltasInput struct {
	After int64 `query:"after" minimum:"0" doc:"version seen last"`
	Limit int   `query:"limit" minimum:"1" maximum:"1000" default:"200"`
}

type deltasOutput struct {
	Link string `header:"Link" doc:"rel=next, where there is more"`
	Body struct {
		Items   []registry.Delta `json:"items"`
		Version int64            `json:"version" doc:"of the registry"`
	}
}

type importInput struct {
	Digest  string `query:"digest" maxLength:"64" doc:"of the preview that is applied; refused when file or registry have changed since"`
	RawBody []byte `contentType:"text/csv" doc:"CSV with a line of headings"`
}

type previewOutput struct{ Body *registry.ImportPlan }

type importOutput struct{ Body registry.ImportResult }

// maxImport bounds an import, in bytes: 111,000 agencies are 15 MB.
const maxImport = 64 << 20

// describeSuccession are the calls about codes over time and the exchange of registries.
func (a *api) describeSuccession(described huma.API) {
	op := func(id, method, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/v1/" + path, Tags: []string{"registry"}, Summary: summary,
			Security: withToken(), MaxBodyBytes: min(maxImport, a.maxBody)}
	}
	register(described, op("resolveCode", http.MethodGet, "resolve", "Mã này là cơ quan nào / What a code stands for"),
		func(ctx context.Context, in *resolveInput) (*resolutionOutput, error) {
			at := a.keep.now()
			if in.At != "" {
				t, err := time.Parse(time.RFC3339, in.At)
				if err != nil {
					return nil, a.told(ctx, registry.NewError(registry.KindInvalid, "at phải là thời điểm RFC 3339.", "at must be a time by RFC 3339."))
				}
				at = t
			}
			found, err := a.registry.Resolve(ctx, in.Code, at)
			if err != nil {
				return nil, a.told(ctx, err)
			}
			return &resolutionOutput{Body: found}, nil
		})
	agency := func(id, suffix, summary string) huma.Operation {
		return op(id, http.MethodGet, "agencies/{id}/"+suffix, summary)
	}
	register(described, agency("listCodes", "codes", "Các mã qua thời gian / Codes over time"),
		func(ctx context.Context, in *agencyIDInput) (*itemsOutput[registry.Code], error) {
			list, err := a.registry.Codes(ctx, registry.AgencyID(in.ID))
			return items(list), a.told(ctx, err)
		})
	register(described, agency("listSuccessors", "successors", "Cơ quan kế thừa / Successors"),
		func(ctx context.Context, in *agencyIDInput) (*itemsOutput[registry.Succession], error) {
			list, err := a.registry.Successors(ctx, registry.AgencyID(in.ID))
			return items(list), a.told(ctx, err)
		})
	register(described, agency("listPredecessors", "predecessors", "Cơ quan trước đó / Predecessors"),
		func(ctx context.Context, in *agencyIDInput) (*itemsOutput[registry.Succession], error) {
			list, err := a.registry.Predecessors(ctx, registry.AgencyID(in.ID))
			return items(list), a.told(ctx, err)
		})
	register(described, op("listDeltas", http.MethodGet, "registry/deltas", "Thay đổi của danh bạ / Changes of the registry"), a.deltas)
	register(described, op("previewImport", http.MethodPost, "registry/preview", "Xem trước khi nhập danh bạ / What an import would change"),
		func(ctx context.Context, in *importInput) (*previewOutput, error) {
			plan, err := a.registry.PreviewImport(ctx, actorOf(ctx), bytes.NewReader(in.RawBody))
			if err != nil {
				return nil, a.told(ctx, err)
			}
			return &previewOutput{Body: plan}, nil
		})
	register(described, op("applyImport", http.MethodPost, "registry/import", "Nhập danh bạ như đã xem trước / Import as previewed"),
		func(ctx context.Context, in *importInput) (*importOutput, error) {
			result, err := a.registry.ApplyImport(ctx, actorOf(ctx), bytes.NewReader(in.RawBody), in.Digest)
			if err != nil {
				return nil, a.told(ctx, err)
			}
			return &importOutput{Body: result}, nil
		})
}

func (a *api) deltas(ctx context.Context, in *deltasInput) (*deltasOutput, error) {
	list, err := a.registry.Deltas(ctx, in.After, in.Limit)
	if err != nil {
		return nil, a.told(ctx, err)
	}
	out := &deltasOutput{}
	out.Body.Items = append([]registry.Delta{}, list...)
	if out.Body.Version, err = a.registry.Version(ctx); err != nil {
		return nil, a.told(ctx, err)
	}
	if len(list) == in.Limit {
		next := url.Values{"after": {strconv.FormatInt(list[len(list)-1].Version, 10)}, "limit": {strconv.Itoa(in.Limit)}}
		out.Link = "</api/v1/registry/deltas?" + next.Encode() + `>; rel="next"`
	}
	return out, nil
}
