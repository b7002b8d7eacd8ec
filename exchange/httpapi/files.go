package httpapi

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"vanthu/exchange"
)

type newFileInput struct {
	Body struct {
		Code        string `json:"code" minLength:"1" maxLength:"20" doc:"số và ký hiệu hồ sơ"`
		Title       string `json:"title" minLength:"1" maxLength:"500"`
		Maintenance string `json:"maintenance" minLength:"1" maxLength:"30" doc:"thời hạn bảo quản"`
		Description string `json:"description,omitempty" maxLength:"500"`
	}
}

type fileIDInput struct {
	ID string `path:"id" maxLength:"64"`
}

type fileItemInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Kind    string `json:"kind" enum:"outgoing,incoming"`
		Subject string `json:"subject" minLength:"1" maxLength:"64" doc:"id of the document, or of the incoming document"`
	}
}

type fileOutput struct{ Body exchange.WorkFile }

type fileWithItems struct {
	Body struct {
		File  exchange.WorkFile   `json:"file"`
		Items []exchange.FileItem `json:"items"`
	}
}

type filesInput struct {
	After string `query:"after" maxLength:"200"`
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

type exportInput struct {
	Kind string `query:"kind" enum:"out,in,followup,report-in,report-out" default:"in"`
	Year int    `query:"year" minimum:"2000" maximum:"9999" required:"true"`
	From string `query:"from" maxLength:"10" doc:"first day, YYYY-MM-DD"`
	To   string `query:"to" maxLength:"10" doc:"last day"`
}

// describeFiles are the calls about work files and signed exports.
func (a *api) describeFiles(described huma.API) {
	op := func(id, method, path, summary string, status int) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/v1/" + path, Tags: []string{"files"}, Summary: summary,
			Security: withToken(), DefaultStatus: status, MaxBodyBytes: maxJSON}
	}
	file := func(ctx context.Context, w *exchange.WorkFile, err error) (*fileOutput, error) {
		if err != nil {
			return nil, a.told(ctx, err)
		}
		return &fileOutput{Body: *w}, nil
	}
	register(described, op("listFiles", http.MethodGet, "files", "Hồ sơ công việc / Work files", 0),
		func(ctx context.Context, in *filesInput) (*listOutput[exchange.WorkFile], error) {
			found, err := a.service.Files(ctx, actorOf(ctx), in.After, in.Limit)
			if err != nil {
				return nil, a.told(ctx, err)
			}
			return page("/api/v1/files", filled(), found.Items, found.Next, in.Limit), nil
		})
	register(described, op("openFile", http.MethodPost, "files", "Mở hồ sơ / Open a file", http.StatusCreated),
		func(ctx context.Context, in *newFileInput) (*fileOutput, error) {
			b := in.Body
			w, err := a.service.OpenFile(ctx, actorOf(ctx), exchange.WorkFileInput{Code: b.Code, Title: b.Title, Maintenance: b.Maintenance, Description: b.Description})
			return file(ctx, w, err)
		})
	register(described, op("getFile", http.MethodGet, "files/{id}", "Một hồ sơ và mục lục / A file and its table of contents", 0),
		func(ctx context.Context, in *fileIDInput) (*fileWithItems, error) {
			w, list, err := a.service.File(ctx, actorOf(ctx), in.ID)
			if err != nil {
				return nil, a.told(ctx, err)
			}
			out := &fileWithItems{}
			out.Body.File, out.Body.Items = *w, append([]exchange.FileItem{}, list...)
			return out, nil
		})
	register(described, op("addToFile", http.MethodPost, "files/{id}/items", "Đưa văn bản vào hồ sơ / Put a document into a file", 0),
		func(ctx context.Context, in *fileItemInput) (*fileOutput, error) {
			w, err := a.service.AddToFile(ctx, actorOf(ctx), in.ID, in.Body.Kind, in.Body.Subject)
			return file(ctx, w, err)
		})
	register(described, op("closeFile", http.MethodPost, "files/{id}/close", "Kết thúc hồ sơ / Close a file", 0),
		func(ctx context.Context, in *fileIDInput) (*fileOutput, error) {
			w, err := a.service.CloseFile(ctx, actorOf(ctx), in.ID)
			return file(ctx, w, err)
		})
	register(described, op("handOverFile", http.MethodPost, "files/{id}/hand-over", "Nộp lưu hồ sơ / Hand a file over to the archive", 0),
		func(ctx context.Context, in *fileIDInput) (*fileOutput, error) {
			w, err := a.service.HandOverFile(ctx, actorOf(ctx), in.ID)
			return file(ctx, w, err)
		})
	register(described, pdfOperation(op("getFileContents", http.MethodGet, "files/{id}/contents", "Mục lục in ra / The table of contents as PDF", 0)),
		func(ctx context.Context, in *fileIDInput) (*huma.StreamResponse, error) {
			if _, _, err := a.service.File(ctx, actorOf(ctx), in.ID); err != nil {
				return nil, a.told(ctx, err)
			}
			return a.written(ctx, "application/pdf", "mucluc.pdf", func(call huma.Context) error {
				return a.service.FileContents(ctx, actorOf(ctx), in.ID, call.BodyWriter())
			}), nil
		})
	export := op("exportRegister", http.MethodGet, "registers/export", "Xuất sổ có ký số / A register as a signed archive (ASiC-E)", 0)
	export.Responses = map[string]*huma.Response{"200": {Description: "ASiC-E: PDF, XLSX and CSV with a signature of the agency",
		Content: map[string]*huma.MediaType{asicType: {Schema: &huma.Schema{Type: "string", Format: "binary"}}}}}
	register(described, export, a.export)
}

const asicType = "application/vnd.etsi.asic-e+zip"

func (a *api) export(ctx context.Context, in *exportInput) (*huma.StreamResponse, error) {
	q := exchange.BookQuery{Book: exchange.Book(in.Kind), Year: in.Year}
	var err error
	if in.From != "" || in.To != "" {
		if q.From, q.To, err = daysOf(in.From, in.To); err != nil {
			return nil, a.told(ctx, err)
		}
	}
	var out spoolBuffer
	if err := a.service.ExportBook(ctx, actorOf(ctx), q, &out); err != nil {
		return nil, a.told(ctx, err)
	}
	return a.written(ctx, asicType, "register.asice", func(call huma.Context) error {
		_, err := call.BodyWriter().Write(out.data)
		return err
	}), nil
}

// spoolBuffer takes what is made before the head of the answer goes out, so that an error can still be told.
type spoolBuffer struct{ data []byte }

// Write implements io.Writer.
func (b *spoolBuffer) Write(p []byte) (int, error) {
	b.data = append(b.data, p...)
	return len(p), nil
}

// written answers with a file that is made while it is sent.
func (a *api) written(ctx context.Context, kind, name string, write func(huma.Context) error) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(call huma.Context) {
		_, w := humago.Unwrap(call)
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
		if err := write(call); err != nil {
			a.log.WarnContext(ctx, "file not written", slog.String("error", err.Error()))
			panic(http.ErrAbortHandler) // the head is out: break the connection
		}
	}}
}
