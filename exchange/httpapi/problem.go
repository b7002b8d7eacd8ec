package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"vanthu/exchange"
	"vanthu/exchange/registry"
	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

// Problem is an error as programs get it (RFC 9457): what happened, what was kept, what to do.
type Problem struct {
	Type     string              `json:"type" doc:"stable name of the kind of error, urn:vanthu:error:…"`
	Title    string              `json:"title"`
	Status   int                 `json:"status"`
	Detail   string              `json:"detail,omitempty" doc:"what happened"`
	Kept     string              `json:"kept,omitempty" doc:"what was kept"`
	Advice   string              `json:"advice,omitempty" doc:"what to do"`
	Instance string              `json:"instance,omitempty" doc:"the request, as the log names it"`
	Errors   []*huma.ErrorDetail `json:"errors,omitempty" doc:"the fields at fault"`

	known *exchange.Error // for the language of the reader
	kind  exchange.Kind
}

// Error gives the detail.
func (p *Problem) Error() string { return p.Detail }

// GetStatus is the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType of a problem (RFC 9457 §3).
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// kindInternal is every error that the exchange does not know: its words are for the log alone.
const kindInternal exchange.Kind = "internal"

// answer is how one kind of error is told.
type answer struct {
	status  int
	vi, en  string
	advice  string
	adviceE string
}

// answers is the one table from kinds of error to HTTP.
func answers() map[exchange.Kind]answer {
	return map[exchange.Kind]answer{
		exchange.KindInvalid:         {http.StatusUnprocessableEntity, "Dữ liệu không hợp lệ", "Invalid data", "", ""},
		exchange.KindUnauthenticated: {http.StatusUnauthorized, "Chưa đăng nhập", "Not logged in", "", ""},
		exchange.KindForbidden:       {http.StatusForbidden, "Không có quyền", "Not allowed", "", ""},
		exchange.KindNotFound:        {http.StatusNotFound, "Không tìm thấy", "Not found", "", ""},
		exchange.KindConflict:        {http.StatusConflict, "Xung đột", "Conflict", "", ""},
		exchange.KindUnavailable:     {http.StatusServiceUnavailable, "Tạm thời không phục vụ", "Not available now", "", ""},
		exchange.KindTooLarge:        {http.StatusRequestEntityTooLarge, "Quá lớn", "Too large", "", ""},
		exchange.KindFull:            {http.StatusInsufficientStorage, "Hết chỗ lưu trữ", "Storage is full", "", ""},
		kindInternal: {http.StatusInternalServerError, "Lỗi của máy chủ", "Server error",
			"Thử lại; nếu vẫn lỗi, báo quản trị mã yêu cầu này.", "Try again; if it stays, tell the administrator the name of this request."},
	}
}

// problemOf turns any error into a Problem. An error that the exchange does not know is logged here, and only its kind
// is told.
func problemOf(log *slog.Logger, ctx context.Context, err error) *Problem { //nolint:revive // the context is where the request's name is; the error is what the function is about
	known, ok := errors.AsType[*exchange.Error](err)
	if !ok {
		if over, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return overLimit(ctx, over.Limit)
		}
		if sqldb.IsFull(err) || errors.Is(err, blob.ErrFull) {
			return fullProblem(ctx)
		}
		if ctx.Err() != nil {
			return internalProblem(ctx) // the caller has gone; nobody failed
		}
		log.ErrorContext(ctx, "internal error", slog.String("request", requestID(ctx)), slog.Any("error", err))
		return internalProblem(ctx)
	}
	told, ok := answers()[known.Kind]
	if !ok {
		log.ErrorContext(ctx, "internal error", slog.String("request", requestID(ctx)), slog.Any("error", err))
		return internalProblem(ctx)
	}
	if told.status >= http.StatusInternalServerError {
		log.WarnContext(ctx, "refused for a fault of the hub", slog.String("request", requestID(ctx)), slog.Any("error", err))
	}
	return &Problem{Status: told.status, known: known, kind: known.Kind, Instance: instance(ctx)}
}

// overLimit says how large a request may be.
func overLimit(ctx context.Context, limit int64) *Problem {
	mib := limit >> 20
	known := registry.NewError(exchange.KindTooLarge, fmt.Sprintf("Yêu cầu lớn hơn giới hạn %d MiB; chưa có gì được lưu.", mib),
		fmt.Sprintf("The request is over the limit of %d MiB; nothing was kept.", mib)).
		Advise("Gửi tệp nhỏ hơn, hoặc nhờ quản trị nâng limits.max_pdf.", "Send a smaller file, or have the administrator raise limits.max_pdf.")
	return &Problem{Status: http.StatusRequestEntityTooLarge, known: known, kind: exchange.KindTooLarge, Instance: instance(ctx)}
}

// fullProblem says that the disk or the store is full.
func fullProblem(ctx context.Context) *Problem {
	known := registry.NewError(exchange.KindFull, "Hết chỗ lưu trữ, thao tác chưa được thực hiện.", "No room left in the store; nothing was done.").
		Advise("Giải phóng dung lượng đĩa rồi làm lại.", "Free some disk space, then try again.").
		Keeping("Mọi dữ liệu đã xác nhận trước đó vẫn còn nguyên.", "Everything confirmed before is intact.")
	return &Problem{Status: http.StatusInsufficientStorage, known: known, kind: exchange.KindFull, Instance: instance(ctx)}
}

func internalProblem(ctx context.Context) *Problem {
	return &Problem{Status: http.StatusInternalServerError, kind: kindInternal, Instance: instance(ctx)}
}

func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey).(string)
	return id
}

func instance(ctx context.Context) string {
	if id := requestID(ctx); id != "" {
		return "urn:uuid:" + id
	}
	return ""
}

// in gives the problem in the reader's language.
func (p *Problem) in(lang string) *Problem {
	out := *p
	out.Type = "urn:vanthu:error:" + string(p.kind)
	told := answers()[p.kind]
	out.Title, out.Advice = told.vi, told.advice
	if lang == "en" {
		out.Title, out.Advice = told.en, told.adviceE
	}
	if out.Title == "" {
		out.Title = http.StatusText(p.Status)
	}
	if p.known != nil {
		out.Detail, out.Advice, out.Kept = p.known.Text(lang)
	}
	return &out
}

// languageOf reads Accept-Language: English where it is asked for first, else Vietnamese.
func languageOf(header string) string {
	first, _, _ := strings.Cut(header, ",")
	if strings.HasPrefix(strings.ToLower(strings.TrimSpace(first)), "en") {
		return "en"
	}
	return "vi"
}

// localiseProblem renders errors in the reader's language, those of request validation among them.
func localiseProblem(ctx huma.Context, _ string, v any) (any, error) {
	lang := languageOf(ctx.Header("Accept-Language"))
	switch problem := v.(type) {
	case *Problem:
		return problem.in(lang), nil
	case *huma.ErrorModel:
		kind := exchange.KindInvalid
		for k, told := range answers() {
			if told.status == problem.Status {
				kind = k
			}
		}
		if over, ok := ctx.Context().Value(overKey).(*overFlag); ok && over.hit.Load() {
			return overLimit(ctx.Context(), over.limit).in(lang), nil
		}
		out := (&Problem{Status: problem.Status, kind: kind, Instance: instance(ctx.Context())}).in(lang)
		out.Detail, out.Errors = problem.Detail, problem.Errors
		return out, nil
	default:
		return v, nil
	}
}

// writeProblem answers outside the described calls.
func writeProblem(w http.ResponseWriter, r *http.Request, p *Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	// The reader has gone if this fails; there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(p.in(languageOf(r.Header.Get("Accept-Language"))))
}
