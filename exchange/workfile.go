package exchange

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"vanthu/exchange/registry"
	"vanthu/exchange/sheet"
	"vanthu/storage/archive"
	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

// WorkFile is a work file (hồ sơ công việc): the documents of one matter, in order
// (NĐ 30/2020 Điều 29). It is opened, filled, closed when the matter is done, and
// handed to the agency's archive (Điều 30, 31) as one package with its table of
// contents. A document may stand in several files without being copied.
type WorkFile struct {
	ID          string            `json:"id"`
	Agency      registry.AgencyID `json:"agency"`
	Code        string            `json:"code"`                  // số và ký hiệu hồ sơ
	Title       string            `json:"title"`                 // tiêu đề hồ sơ
	Maintenance string            `json:"maintenance"`           // thời hạn bảo quản, e.g. "10 năm", "Vĩnh viễn"
	Description string            `json:"description,omitempty"` // chú giải
	Keeper      registry.PersonID `json:"keeper"`                // người lập hồ sơ
	KeeperName  string            `json:"keeper_name"`
	Opened      time.Time         `json:"opened"`
	Closed      time.Time         `json:"closed,omitzero"`
	Handed      time.Time         `json:"handed,omitzero"`    // nộp lưu
	Receiver    string            `json:"receiver,omitempty"` // who took it for the archive
	Package     blob.Ref          `json:"package,omitzero"`
}

// FileItem is one line of a file's table of contents (mục lục văn bản trong hồ sơ).
type FileItem struct {
	Ordinal int         `json:"ordinal"`
	Kind    string      `json:"kind"` // outgoing, incoming
	Subject string      `json:"subject_id"`
	Code    string      `json:"code"`
	Issued  time.Time   `json:"issued"`
	Title   string      `json:"title"`
	Author  string      `json:"author"`
	Digest  blob.Digest `json:"digest"`
	Size    int64       `json:"size"`
}

// The kinds of FileItem.
const (
	ItemOutgoing = "outgoing"
	ItemIncoming = "incoming"
)

// Limits of a file (NĐ 30/2020 Phụ lục VI phần II: FileNotation, Title, Maintenance,
// Description, DocTotal).
const (
	maxFileCode    = 20
	maxFileTitle   = 500
	maxMaintenance = 30
	maxFileItems   = 9999
	maxHandedBytes = 2 << 30
)

// WorkFileInput describes a new file.
type WorkFileInput struct {
	Code, Title, Maintenance, Description string
}

// OpenFile opens a work file of the actor's agency; anyone of it may, and is its
// keeper. Its code is the agency's once.
func (s *Service) OpenFile(ctx context.Context, by registry.Actor, in WorkFileInput) (*WorkFile, error) {
	if by.Person == "" {
		return nil, fail(KindForbidden, "Hồ sơ do người của cơ quan lập.", "A file is made by somebody of the agency.")
	}
	if err := filesAllowed(by); err != nil {
		return nil, err
	}
	for _, f := range []struct {
		vi, en   string
		at       *string
		max      int
		required bool
	}{
		{"Ký hiệu hồ sơ", "The code of the file", &in.Code, maxFileCode, true}, {"Tiêu đề hồ sơ", "The title of the file", &in.Title, maxFileTitle, true},
		{"Thời hạn bảo quản", "The retention", &in.Maintenance, maxMaintenance, true}, {"Chú giải", "The description", &in.Description, maxNote, false},
	} {
		text, err := registry.CleanLine(f.vi, f.en, *f.at, f.max)
		if err != nil {
			return nil, err
		}
		if *f.at = text; text == "" && f.required {
			return nil, fail(KindInvalid, "Thiếu: "+f.vi+".", f.en+" is missing.")
		}
	}
	w := &WorkFile{ID: newID(), Agency: by.Agency, Code: in.Code, Title: in.Title, Maintenance: in.Maintenance, Description: in.Description,
		Keeper: by.Person, KeeperName: by.FullName(), Opened: s.clock()}
	err := s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := insertFile(ctx, tx, w); err != nil {
			return err
		}
		return s.evidence(ctx, tx, "file.opened", w.ID, w.Opened, by, s.fileFacts(by, w))
	})
	if sqldb.IsConflict(err) {
		return nil, failf(KindConflict, "Cơ quan đã có hồ sơ mang ký hiệu %s.", "The agency has a file with the code %s already.", w.Code)
	}
	if err != nil {
		return nil, storageError("opening a file", err)
	}
	return w, nil
}

func (s *Service) fileFacts(by registry.Actor, w *WorkFile) facts {
	f := s.facts(by)
	f["agency"], f["file_code"], f["title"], f["maintenance"] = string(w.Agency), w.Code, w.Title, w.Maintenance
	return f
}

// ownFile gives a file of the actor's agency.
func (s *Service) ownFile(ctx context.Context, tx *sqldb.Tx, by registry.Actor, id string) (*WorkFile, error) {
	w, err := selectFile(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	if w != nil {
		held, err := s.holds(ctx, tx, by, w.Agency)
		if err != nil || held {
			return w, err
		}
	}
	return nil, fail(KindNotFound, "Không có hồ sơ này ở cơ quan.", "There is no such file in your agency.")
}

// openedFile is ownFile of one that the actor may fill: the keeper and clerks.
// filesAllowed keeps work files from those who act for another in other things than the clerk's work.
func filesAllowed(by registry.Actor) error {
	if by.OnBehalfOf != nil && !by.OnBehalfOf.Allows(registry.ScopeClerk) {
		return fail(KindForbidden, "Ủy quyền này không bao gồm việc lập hồ sơ.", "This delegation does not cover work files.")
	}
	return nil
}

func (s *Service) openedFile(ctx context.Context, tx *sqldb.Tx, by registry.Actor, id string) (*WorkFile, error) {
	w, err := s.ownFile(ctx, tx, by, id)
	if err == nil {
		err = filesAllowed(by)
	}
	switch {
	case err != nil:
		return nil, err
	case !w.Closed.IsZero():
		return nil, fail(KindConflict, "Hồ sơ đã kết thúc.", "The file is closed.")
	case by.Person != w.Keeper && !by.Has(registry.RoleClerk):
		return nil, fail(KindForbidden, "Chỉ người lập hồ sơ hoặc văn thư được sửa hồ sơ.", "Only its keeper or a clerk changes a file.")
	}
	return w, nil
}

// AddToFile puts a document into a file, as the next of its table of contents: an
// outgoing one that has a number, or an incoming one that is registered.
func (s *Service) AddToFile(ctx context.Context, by registry.Actor, file, kind, subject string) (*WorkFile, error) {
	now := s.clock()
	var w *WorkFile
	err := s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if w, err = s.openedFile(ctx, tx, by, file); err != nil {
			return err
		}
		code, err := s.itemCode(ctx, tx, by, kind, subject)
		if err != nil {
			return err
		}
		if code == "" {
			return fail(KindConflict, "Chỉ đưa vào hồ sơ văn bản đã có số đi hoặc số đến.", "Only a document with a number goes into a file.")
		}
		added, err := insertFileItem(ctx, tx, w.ID, kind, subject, by.Tag(), now, maxFileItems)
		if err != nil || !added {
			if err == nil {
				err = fail(KindConflict, "Văn bản đã có trong hồ sơ, hoặc hồ sơ đã đầy.", "The document is in the file already, or the file is full.")
			}
			return err
		}
		f := s.fileFacts(by, w)
		f["code"], f["kind"], f["subject"] = code, kind, subject
		return s.evidence(ctx, tx, "file.added", w.ID, now, by, f)
	})
	if err != nil {
		return nil, storageError("adding to a file", err)
	}
	return w, nil
}

// itemCode gives the number under which a document stands in a file, "" while it has none.
func (s *Service) itemCode(ctx context.Context, tx *sqldb.Tx, by registry.Actor, kind, subject string) (string, error) {
	switch kind {
	case ItemOutgoing:
		d, err := s.ownDocument(ctx, tx, by, DocumentID(subject))
		if err != nil {
			return "", err
		}
		return d.Code(), nil
	case ItemIncoming:
		in, err := s.ownIncoming(ctx, tx, by, IncomingID(subject))
		if err != nil || in.ArrivalNumber == 0 {
			return "", err
		}
		return cmp.Or(in.Code, strconv.Itoa(in.ArrivalNumber)), nil
	}
	return "", failf(KindInvalid, "Không có loại %q; dùng outgoing hoặc incoming.", "There is no kind %q; use outgoing or incoming.", kind)
}

// CloseFile ends a file whose matter is done (kết thúc hồ sơ); it must not be empty.
func (s *Service) CloseFile(ctx context.Context, by registry.Actor, file string) (w *WorkFile, err error) {
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if w, err = s.openedFile(ctx, tx, by, file); err != nil {
			return err
		}
		list, err := selectFileItems(ctx, tx, w.ID)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return fail(KindConflict, "Hồ sơ chưa có văn bản nào.", "The file is empty.")
		}
		w.Closed = s.clock()
		if err := updateFile(ctx, tx, w); err != nil {
			return err
		}
		f := s.fileFacts(by, w)
		f["count"] = strconv.Itoa(len(list))
		return s.evidence(ctx, tx, "file.closed", w.ID, w.Closed, by, f)
	})
	if err != nil {
		return nil, storageError("closing a file", err)
	}
	return w, nil
}

// HandOverFile gives a closed file to the agency's archive (nộp lưu, Điều 30): all
// its documents with their table of contents are sealed into one package under
// retention. The clerk takes it.
func (s *Service) HandOverFile(ctx context.Context, by registry.Actor, file string) (*WorkFile, error) {
	if err := allowed(by, ActRegister); err != nil {
		return nil, err
	}
	w, list, err := s.File(ctx, by, file)
	if err != nil {
		return nil, err
	}
	if w.Closed.IsZero() || !w.Handed.IsZero() {
		return nil, fail(KindConflict, "Chỉ nộp lưu hồ sơ đã kết thúc và chưa nộp.", "Only a closed file that was not handed over is.")
	}
	p, err := s.packFile(ctx, w, list)
	if err != nil {
		return nil, err
	}
	now := s.clock()
	ref, err := archive.Seal(ctx, s.cfg.Store.Archive, p, now.Add(s.cfg.Retention))
	if err != nil {
		return nil, fmt.Errorf("sealing the file %s: %w", w.ID, err)
	}
	err = s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if w, err = s.ownFile(ctx, tx, by, file); err != nil {
			return err
		}
		if !w.Handed.IsZero() {
			return fail(KindConflict, "Hồ sơ đã được nộp lưu.", "The file was handed over.")
		}
		w.Handed, w.Receiver, w.Package = now, by.FullName(), ref
		if err := updateFile(ctx, tx, w); err != nil {
			return err
		}
		f := s.fileFacts(by, w)
		f["count"], f["package"], f["size"] = strconv.Itoa(len(list)), string(ref.Digest), strconv.FormatInt(ref.Size, 10)
		return s.evidence(ctx, tx, "file.handed-over", w.ID, now, by, f)
	})
	if err != nil {
		return nil, storageError("handing over a file", err)
	}
	return w, nil
}

// packFile makes the package of a file: its documents, and the table of contents for
// people and for programs.
func (s *Service) packFile(ctx context.Context, w *WorkFile, list []FileItem) (archive.Package, error) {
	p := archive.Package{Kind: "work-file", ID: w.ID, Created: w.Closed, Meta: map[string]string{
		"agency": string(w.Agency), "code": w.Code, "title": w.Title, "maintenance": w.Maintenance}}
	var sum int64
	for i := range list {
		item := &list[i]
		if sum += item.Size; sum > maxHandedBytes {
			return p, failf(KindTooLarge, "Hồ sơ lớn hơn %d byte.", "The file is over %d bytes.", int64(maxHandedBytes))
		}
		p.Files = append(p.Files, archive.File{Name: fmt.Sprintf("%04d.pdf", item.Ordinal), Ref: blob.Ref{Digest: item.Digest, Size: item.Size}, From: s.cfg.Store.Blobs})
	}
	data, err := json.MarshalIndent(struct {
		File  *WorkFile  `json:"file"`
		Items []FileItem `json:"items"`
	}{w, list}, "", " ")
	if err != nil {
		return p, fmt.Errorf("encoding the table of contents: %w", err)
	}
	paper, err := s.contents(ctx, w, list)
	if err != nil {
		return p, err
	}
	var pdf bytes.Buffer
	if err := paper.PDF(&pdf); err != nil {
		return p, fmt.Errorf("printing the table of contents: %w", err)
	}
	p.Files = append(p.Files, archive.File{Name: "mucluc.json", Data: data}, archive.File{Name: "mucluc.pdf", Data: pdf.Bytes()})
	return p, nil
}

// contents is the table of contents of a file on paper (mục lục văn bản, tài liệu).
func (s *Service) contents(ctx context.Context, w *WorkFile, list []FileItem) (*sheet.Paper, error) {
	by := registry.System("contents")
	by.Agency = w.Agency
	p, err := s.letterhead(ctx, by)
	if err != nil {
		return nil, err
	}
	p.Title, p.Subtitle = "MỤC LỤC VĂN BẢN TRONG HỒ SƠ", []string{"Hồ sơ số " + w.Code + ": " + w.Title, "Thời hạn bảo quản: " + w.Maintenance + "; người lập: " + w.KeeperName}
	t := &sheet.Table{Columns: []sheet.Column{{Title: "STT"}, {Title: "Số, ký hiệu"}, {Title: "Ngày tháng"}, {Title: "Tên loại và trích yếu"}, {Title: "Tác giả"}}}
	for i := range list {
		item := &list[i]
		t.Rows = append(t.Rows, sheet.Row{Cells: []any{item.Ordinal, item.Code, item.Issued.In(Vietnam()).Format("02/01/2006"), item.Title, item.Author}})
	}
	p.Parts = []sheet.Part{{Name: "Mục lục", Table: t}}
	return p, nil
}

// FileContents writes the table of contents of a file as PDF.
func (s *Service) FileContents(ctx context.Context, by registry.Actor, file string, out io.Writer) error {
	w, list, err := s.File(ctx, by, file)
	if err != nil {
		return err
	}
	paper, err := s.contents(ctx, w, list)
	if err != nil {
		return err
	}
	return paper.PDF(out)
}

// File gives a file of the actor's agency and its table of contents.
func (s *Service) File(ctx context.Context, by registry.Actor, id string) (w *WorkFile, list []FileItem, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if w, err = s.ownFile(ctx, tx, by, id); err != nil {
			return err
		}
		list, err = selectFileItems(ctx, tx, id)
		return err
	})
	if err != nil {
		return nil, nil, storageError("reading a file", err)
	}
	names := s.namer(ctx)
	for i := range list {
		list[i].Author = names.agency(registry.AgencyID(list[i].Author))
	}
	return w, list, nil
}

// Files lists the files of the actor's agency, newest first.
func (s *Service) Files(ctx context.Context, by registry.Actor, after string, limit int) (Page[WorkFile], error) {
	limit = pageLimit(limit)
	var list []WorkFile
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		list, err = selectFiles(ctx, tx, by.Agency, after, limit+1)
		return err
	})
	return page(list, limit, func(w WorkFile) string { return w.ID }), storageError("listing files", err)
}

// fileTemplate gives the sentences about work files.
func fileTemplate(kind string) (vi, en string) {
	switch kind {
	case "file.opened":
		return "Mở hồ sơ {file_code}: {title}", "Opened the file {file_code}: {title}"
	case "file.added":
		return "Đưa {code} vào hồ sơ {file_code}", "Put {code} into the file {file_code}"
	case "file.closed":
		return "Kết thúc hồ sơ {file_code}, {count} văn bản", "Closed the file {file_code} with {count} documents"
	case "file.handed-over":
		return "Nộp lưu hồ sơ {file_code}, {count} văn bản", "Handed the file {file_code} over to the archive, {count} documents"
	case "register.exported":
		return "Xuất sổ {title} có ký số", "Exported {title}, signed"
	case "work.escalated":
		return "Báo lãnh đạo: việc quá hạn {days} ngày làm việc", "The leaders were told: {days} working days overdue"
	}
	return hookTemplate(kind)
}
