package exchange

import (
	"context"
	"errors"
	"time"

	"vanthu/exchange/registry"
	"vanthu/storage/blob"
	"vanthu/storage/sqldb"
)

// FieldProblem is what is wrong with one field of a draft.
type FieldProblem struct {
	Field string `json:"field"` // as in DraftInput's JSON: type, subject, signer_name, details.pages, …
	Text  string `json:"text"`
	En    string `json:"text_en"`

	err error
}

// Duplicate is a document that the agency has drafted or sent already.
type Duplicate struct {
	Document DocumentID `json:"document"`
	Code     string     `json:"code,omitempty"`
	Subject  string     `json:"subject"`
	State    State      `json:"state"`
	Created  time.Time  `json:"created"`
	Issued   time.Time  `json:"issued,omitzero"`
	Why      []string   `json:"why"` // content, subject
}

// The reasons of a Duplicate.
const (
	DuplicateContent = "content" // the same bytes
	DuplicateSubject = "subject" // the same type and subject
)

// DraftCheck is what a draft would be told.
type DraftCheck struct {
	Problems   []FieldProblem `json:"problems"`
	Duplicates []Duplicate    `json:"duplicates"`
	Notation   string         `json:"notation,omitempty"` // that it would get where none is typed
}

// duplicateSpan is how far back the same subject is a duplicate; the same bytes are
// one for ever.
const duplicateSpan = 366 * 24 * time.Hour

// mostDuplicates bounds the duplicates that are told.
const mostDuplicates = 20

// CheckDraft says what Draft would say to what is typed so far, field by field
// (limits of NĐ 30/2020 Phụ lục VI), and which documents of the agency it may repeat
// (Phụ lục VI I.III.1.h asks for the warning). The PDF may be left out, or named by
// its digest. Nothing is written.
func (s *Service) CheckDraft(ctx context.Context, by registry.Actor, in DraftInput, digest blob.Digest) (*DraftCheck, error) {
	if err := allowed(by, ActDraft); err != nil {
		return nil, err
	}
	if digest == "" && in.PDF != nil {
		data, err := s.readPDF(in.PDF)
		if err != nil {
			return nil, err
		}
		digest = blob.Sum(data)
	}
	out := &DraftCheck{Duplicates: []Duplicate{}}
	t, problems := in.problems()
	out.Problems = problems
	if problem := s.checkSymbol(ctx, by, t, &in, out); problem != nil {
		out.Problems = append(out.Problems, *problem)
	}
	if out.Problems == nil {
		out.Problems = []FieldProblem{}
	}
	now := s.clock()
	err := s.db.View(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list, same, err := selectDuplicates(ctx, tx, by.Agency, string(digest), t.Code, in.Subject, sqldb.Micros(now.Add(-duplicateSpan)), mostDuplicates)
		for i := range list {
			d := &list[i]
			dup := Duplicate{Document: d.ID, Code: d.Code(), Subject: d.Subject, State: d.State, Created: d.Created, Issued: d.Issued}
			if same[d.ID] {
				dup.Why = append(dup.Why, DuplicateContent)
			}
			if d.Subject == in.Subject && d.Type == t.Code {
				dup.Why = append(dup.Why, DuplicateSubject)
			}
			out.Duplicates = append(out.Duplicates, dup)
		}
		return err
	})
	return out, storageError("looking for duplicates", err)
}

// checkSymbol checks series and symbol, and gives the symbol that would be made.
func (s *Service) checkSymbol(ctx context.Context, by registry.Actor, t DocType, in *DraftInput, out *DraftCheck) *FieldProblem {
	agency, err := s.reg.Agency(ctx, by.Agency)
	if err != nil || t.Code == "" {
		return nil // said of the type already
	}
	symbol, err := s.symbolOf(ctx, agency, in.Series)
	if err != nil {
		return fieldProblem("series", err)
	}
	out.Notation = in.Notation
	if in.Notation == "" {
		if symbol == "" {
			return fieldProblem("notation", fail(KindInvalid, "Thiếu ký hiệu văn bản và cơ quan chưa có chữ viết tắt.", "The symbol is missing and the agency has no abbreviation."))
		}
		out.Notation = defaultNotation(t, symbol)
	}
	return fieldProblem("notation", checkNotation(t, out.Notation))
}

// fieldProblem puts an error about one field in words; nil of nil.
func fieldProblem(field string, err error) *FieldProblem {
	if err == nil {
		return nil
	}
	p := &FieldProblem{Field: field, err: err}
	var e *Error
	if errors.As(err, &e) {
		p.Text, _, _ = e.Text("vi")
		p.En, _, _ = e.Text("en")
	}
	return p
}

// problems checks and normalises what is typed, all fields of it.
func (in *DraftInput) problems() (t DocType, out []FieldProblem) {
	add := func(field string, err error) {
		if p := fieldProblem(field, err); p != nil {
			out = append(out, *p)
		}
	}
	if in.Secrecy != "" {
		add("secrecy", fail(KindInvalid, "Văn bản mật không được gửi, nhận qua hệ thống này.",
			"Secret documents must not go through this exchange.").
			Advise("Đăng ký và chuyển theo chế độ bảo mật (QĐ 28/2018 Điều 1.2).", "Register and carry it by the rules for secrets (QĐ 28/2018 Điều 1.2)."))
	}
	t, ok := DocTypeOf(in.Type)
	if !ok {
		add("type", failf(KindInvalid, "Không có loại văn bản %q.", "There is no document type %q.", in.Type).
			Advise("Chọn một trong 29 loại của Nghị định 30/2020/NĐ-CP Điều 7.", "Choose one of the 29 types of NĐ 30/2020 Điều 7."))
	}
	for _, f := range []struct {
		name, vi, en string
		at           *string
		max          int
		required     bool
	}{
		{"subject", "Trích yếu", "The subject", &in.Subject, maxSubject, true},
		{"notation", "Ký hiệu", "The symbol", &in.Notation, maxNotation, false},
		{"place", "Địa danh", "The place", &in.Place, maxPlace, false},
		{"signer_name", "Họ tên người ký", "The signer's name", &in.SignerName, maxSignerName, true},
		{"signer_position", "Chức vụ người ký", "The signer's position", &in.SignerPosition, maxPosition, false},
		{"competence", "Quyền hạn ký", "The signer's competence", &in.Competence, maxCompetence, false},
	} {
		text, err := registry.CleanLine(f.vi, f.en, *f.at, f.max)
		if err == nil {
			*f.at = text
			if text == "" && f.required {
				err = fail(KindInvalid, "Thiếu: "+f.vi+".", f.en+" is missing.")
			}
		}
		add(f.name, err)
	}
	if in.Priority < PriorityNormal || in.Priority > PriorityTimed {
		add("priority", failf(KindInvalid, "Độ khẩn %d không có; dùng 0 đến 4.", "There is no urgency %d; use 0 to 4.", in.Priority))
	}
	if ok {
		add("details", in.Details.clean(t))
	}
	return t, out
}

// clean checks and normalises what is typed into a draft; the first problem counts.
func (in *DraftInput) clean() (DocType, error) {
	t, problems := in.problems()
	if len(problems) > 0 {
		return t, problems[0].err
	}
	if in.PDF == nil {
		return t, fail(KindInvalid, "Thiếu tệp PDF.", "The PDF is missing.")
	}
	return t, nil
}
